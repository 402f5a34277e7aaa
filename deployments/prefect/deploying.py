"""Deployments for a laptop's own server: every preset as a form of its own, run by a worker beside the server.

An always-on server uses deployments/prefect.yaml instead; names differ, so that the two never fight over one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.types.entrypoint import EntrypointType

from deployments.prefect.pools import Pool, ensure_gpu_limit, ensure_pool
from deployments.presets import FOLDER, load_preset
from tasks.base.store import Store

POOL: Final = "local"

IN_TURN: Final = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)

OTHERS: Final = (
    "flows.build_dataset.build_dataset",
    "flows.evaluate_adapter.evaluate_adapter",
    "flows.publish_release.publish_release",
    "flows.search_hyperparameters.search_hyperparameters",
)
"""Flows over the same parameters, deployed once each with the dry run's preset in the form."""


def deployment(entrypoint: str, name: str, **options: Any) -> RunnerDeployment:
    """A deployment whose runs import their flow.

    Args:
        entrypoint: dotted, such as `flows.retrain.retrain`.
        name: of the deployment.
        options: as of `RunnerDeployment.from_flow`.

    `RunnerDeployment.from_entrypoint` would turn the dotted entry point into a path and have every run copy the working
    directory, environment and all, before it starts (prefect 3.8.8; 45 to 110 s in a checkout of rawtune).
    """
    flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint)
    made = RunnerDeployment.from_flow(flow, name=name, entrypoint_type=EntrypointType.MODULE_PATH, **options)
    assert made.entrypoint == entrypoint, made.entrypoint
    return made


def deploy_locally(store: Store) -> list[str]:
    """Deploys every preset of retrain, the flows beside it and training on this machine; returns their names.

    Nothing is scheduled: a laptop is not there on the first of the month. Runs work in this process's directory, so
    that a preset's relative paths mean what they mean on the command line.
    """
    with get_client(sync_client=True) as client:
        ensure_pool(client, Pool(POOL, "process", "This machine.", 1))
        ensure_gpu_limit(client)
    where: dict[str, Any] = {"working_dir": str(Path.cwd())}
    address = str(store.root) if store.is_local else store.uri
    forms = {
        preset.stem: load_preset(preset.stem, [f"store={address}"]).model_dump(mode="json")
        for preset in sorted(FOLDER.glob("*.yaml"))
    }
    wanted = [("flows.retrain.retrain", name, {"params": form}) for name, form in forms.items()]
    wanted += [(entrypoint, POOL, {"params": forms["dry-run"]}) for entrypoint in OTHERS]
    names = []
    for entrypoint, name, parameters in wanted:
        made = deployment(
            entrypoint,
            name,
            parameters=parameters,
            concurrency_limit=IN_TURN,
            tags=["rawtune"],
            job_variables=where,
        )
        made.apply(work_pool_name=POOL)
        names.append(made.full_name)
    return names
