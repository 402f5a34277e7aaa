"""`rawtune up` and `rawtune deploy`: presets as forms, on a server of one's own or one that is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from deployments import console
from deployments.cli.running import check_server, prefect_home
from deployments.interruption import wait_for_interrupt
from deployments.prefect.local_server import entrance, free_port, local_server
from deployments.prefect.local_worker import local_worker
from deployments.presets import FOLDER, apply_changes, checked, find_preset, read_document
from tasks.base.errors import InputError
from tasks.base.store import Store

PORT = 4300
"""Prefect's own 4200 is left to others."""


def serve_everything(store: Store, presets: Sequence[str], port: int | None) -> None:
    """Starts server and worker, deploys the presets, prints the UI's address, and waits.

    Runs and schedules are kept in the store's own Prefect home, so that the next time finds them.

    Args:
        store: of every run.
        presets: files and names; none = all that come with rawtune.
        port: of the UI; None = `PORT`, or a free one where that is taken.

    Raises:
        InputError: a preset is wrong, or the port is taken.
    """
    store.check_writable()
    documents = read(presets, str(store.root) if store.is_local else store.uri)
    chosen = port or PORT
    if free_port(chosen) != chosen:
        if port is not None:
            raise InputError(f"--port {port}: something else listens there; choose another")
        chosen = free_port()
    home = prefect_home(store)
    with local_server(home, port=chosen) as url:
        from deployments.prefect.automations import ensure_automations
        from deployments.prefect.deploying import LOCAL_POOL, deploy_here

        made = deploy_here(documents)
        ensure_automations()
        with local_worker(LOCAL_POOL, home / "worker.log"):
            tell(made.names, made.kept)
            places = {"Prefect UI": entrance(url), "runs of": store.uri, "log": str(home / "worker.log")}
            wait_for_interrupt(lambda: console.print_places(places))


def deploy(store: str | None, presets: Sequence[str], changes: Sequence[str]) -> None:
    """Deploys presets on the server at PREFECT_API_URL. The store is not looked at: the workers reach it, perhaps not
    this process.

    Raises:
        InputError: there is no server, or a preset is wrong.
    """
    if not os.environ.get("PREFECT_API_URL"):
        raise InputError(
            "PREFECT_API_URL is not set: the address of the server, ending in /api; without one: rawtune up"
        )
    check_server()
    documents = read(presets, store, changes)
    from deployments.prefect.deploying import deploy_on_server

    made = deploy_on_server(documents)
    tell(made.names, made.kept)


def read(presets: Sequence[str], store: str | None, changes: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """The presets by name, checked, with the store's address in them.

    Raises:
        InputError: a preset is wrong, or two have one name.
    """
    found: dict[str, dict[str, Any]] = {}
    for preset in presets or sorted(path.stem for path in FOLDER.glob("*.yaml")):
        path = find_preset(preset)
        document = read_document(path)
        if store is not None:
            document["store"] = store
        apply_changes(document, changes)
        params = checked(document, str(path))
        document["name"] = params.name
        if path.stem in found:
            raise InputError(f"{path}: another preset is named {path.stem} as well; rename one of the files")
        found[path.stem] = document
    return found


def tell(names: Sequence[str], kept: Sequence[str]) -> None:
    """What was deployed, and what was left as somebody changed it."""
    console.print_places({"to run": ", ".join(names)})
    for name in kept:
        console.output.print(f"  preset {name} was edited on the server and stays as it is there", highlight=False)
