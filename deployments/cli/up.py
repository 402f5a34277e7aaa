"""`rawtune up`: a server, a worker, deployments and automations on one machine, without Docker, until Ctrl-C."""

from __future__ import annotations

from deployments import console
from deployments.cli.running import prefect_home
from deployments.interruption import wait_for_interrupt
from deployments.prefect.local_server import entrance, local_server
from deployments.prefect.local_worker import local_worker
from tasks.base.store import Store


def serve_everything(store: Store) -> None:
    """Starts everything, prints the UI's address, and waits. Runs are kept in the store's own Prefect home."""
    store.check_writable()
    home = prefect_home(store)
    with local_server(home) as url:
        from deployments.prefect.automations import ensure_automations
        from deployments.prefect.deploying import POOL, deploy_locally

        names = deploy_locally(store)
        ensure_automations()
        with local_worker(POOL, home / "worker.log"):
            console.print_places(
                {
                    "Prefect UI": entrance(url),
                    "runs of": store.uri,
                    "to run": ", ".join(names),
                    "log": str(home / "worker.log"),
                }
            )
            wait_for_interrupt()
