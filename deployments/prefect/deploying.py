"""Deployments: a preset's short form (`form.py`), and for a server the GPU pools' training.

Deploying twice makes nothing twice and leaves what people changed in the UI: schedules, whether one is active,
parameters, tags and limits of a deployment stay, and so does a preset's variable that was edited. Nothing is
scheduled to begin with: the monthly schedule is there, switched off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.types import MAX_VARIABLE_VALUE_LENGTH
from prefect.types.entrypoint import EntrypointType
from prefect.variables import Variable
from pydantic_core import to_jsonable_python

from deployments.prefect.form import variable_of
from deployments.prefect.pools import GPU_POOLS, POOLS, Pool, ensure_gpu_limit, ensure_pool
from tasks.base.errors import InputError

LOCAL_POOL: Final = "local"
SERVER_POOL: Final = "cpu"

IN_TURN: Final = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""A month whose run still goes on when the next begins waits for it."""

MONTHLY: Final = DeploymentScheduleCreate(
    schedule=CronSchedule(cron="0 3 1 * *", timezone="UTC"), active=False, slug="monthly"
)

FORMS: Final = (
    "deployments.prefect.form.retrain",
    "deployments.prefect.form.search_hyperparameters",
    "deployments.prefect.form.publish_release",
)

GPU_FLOWS: Final[dict[str, dict[str, Any]]] = {
    "flows.train_adapter.train_adapter": {"max_hours": 4, "max_usd": 15},
    "flows.trials.search_trials": {"max_hours": 24, "max_usd": 60},
}
"""What a GPU machine runs, and what it may cost where the run does not say. The name of such a deployment is the name
of its pool: `compute.pool` finds it so. What keeps two from running at once is the pool's limit and the global limit
`gpu`. A limit of the deployment would end a paid training whenever the server does not answer for a few seconds just as
the run renews its lease, every 225 s (prefect 3.8.8).
"""


@dataclass(frozen=True)
class Deployed:
    """What deploying came to."""

    names: tuple[str, ...]
    """`flow/deployment`."""
    kept: tuple[str, ...]
    """Presets that somebody has edited on the server, which are left as they are."""


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


def deploy_here(presets: Mapping[str, Mapping[str, Any]]) -> Deployed:
    """Deploys presets for a worker beside a laptop's own server.

    Runs work in this process's directory, so that a preset's relative paths mean what they mean on the command line.
    """
    with get_client(sync_client=True) as client:
        ensure_pool(client, Pool(LOCAL_POOL, "process", "This machine.", 1))
        ensure_gpu_limit(client)
        return _deploy(client, presets, LOCAL_POOL, {"working_dir": str(Path.cwd())})


def deploy_on_server(presets: Mapping[str, Mapping[str, Any]]) -> Deployed:
    """Deploys presets for the pool `cpu` of the server at PREFECT_API_URL, and training for its GPU pools."""
    with get_client(sync_client=True) as client:
        for pool in POOLS:
            ensure_pool(client, pool)
        ensure_gpu_limit(client)
        made = _deploy(client, presets, SERVER_POOL, {})
        names = []
        for pool in GPU_POOLS:
            for entrypoint, limits in GPU_FLOWS.items():
                training = deployment(entrypoint, pool.name, tags=["rawtune", "gpu"])
                names.append(_ensure(client, training, pool.name, limits if pool.type == "lambda-cloud" else {}))
    return Deployed((*made.names, *names), made.kept)


def _deploy(
    client: SyncPrefectClient, presets: Mapping[str, Mapping[str, Any]], pool: str, variables: dict[str, Any]
) -> Deployed:
    kept = tuple(name for name, document in presets.items() if not _ensure_preset(name, document))
    names = []
    for name in presets:
        for entrypoint in FORMS:
            made = deployment(
                entrypoint,
                name,
                parameters={"preset": name},
                concurrency_limit=IN_TURN,
                tags=["rawtune"],
                schedules=[MONTHLY] if entrypoint == FORMS[0] else [],
            )
            choices = made._parameter_openapi_schema.properties["preset"]
            choices |= {"enum": sorted({*presets, *_known_presets(client)})}
            names.append(_ensure(client, made, pool, variables))
    return Deployed(tuple(names), kept)


def _ensure(client: SyncPrefectClient, made: RunnerDeployment, pool: str, variables: dict[str, Any]) -> str:
    """Makes the deployment; of one that is there only what belongs to the code is brought up to date."""
    try:
        found = client.read_deployment_by_name(made.full_name)
    except ObjectNotFound:
        made.job_variables = variables
        made.apply(work_pool_name=pool)
        return made.full_name
    update = DeploymentUpdate(
        entrypoint=made.entrypoint,
        description=made.description,
        version=made.version,
        parameter_openapi_schema=made._parameter_openapi_schema.model_dump(),
        job_variables=variables | found.job_variables | _places(variables),
    )
    client.update_deployment(found.id, update)
    return made.full_name


def _places(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Job variables that say where this process is, which nobody sets by hand."""
    return {name: value for name, value in variables.items() if name == "working_dir"}


def _ensure_preset(name: str, document: Mapping[str, Any]) -> bool:
    """Hands a preset over to the server; False if somebody has edited the one that is there."""
    variable = variable_of(name)
    held: Any = Variable.get(variable)
    if isinstance(held, Mapping) and held.get("sha256") != _sha(held.get("document")):
        return False
    plain = to_jsonable_python(document)
    value = {"preset": name, "document": plain, "sha256": _sha(plain)}
    if len(json.dumps(value)) > MAX_VARIABLE_VALUE_LENGTH:
        raise InputError(
            f"{name}: the preset is longer than the {MAX_VARIABLE_VALUE_LENGTH} characters that fit a server"
        )
    Variable.set(variable, value, tags=["rawtune"], overwrite=True)
    return True


def _known_presets(client: SyncPrefectClient) -> Sequence[str]:
    values = [variable.value for variable in client.read_variables(limit=200)]
    return [value["preset"] for value in values if isinstance(value, dict) and "preset" in value]


def _sha(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
