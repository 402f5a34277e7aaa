"""The work pools of a server.

    python -m deployments.prefect.pools [--wheel ADDRESS]      against the server at PREFECT_API_URL

A pool's limit of one run at a time keeps two machines of one pool from running at once: it is counted by the server
before a run is handed to a worker, so a run that waits costs nothing. The global concurrency limit `gpu` does the same
over all pools: it is held by the run that hands training over (see flows/compute.py), so waiting costs nothing there
either.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.base import BaseWorker

from flows.compute import GPU_LIMIT


@dataclass(frozen=True)
class Pool:
    """A work pool and the defaults of its job variables."""

    name: str
    type: str
    description: str
    concurrency_limit: int
    variables: Mapping[str, Any] = field(default_factory=dict)


POOLS: Final = (
    Pool("cpu", "process", "Everything but training: harvest, dialogues, evaluation's report, release.", 2),
    Pool("gpu-lambda", "lambda-cloud", "Training and answers on a machine rented by the hour.", 1),
    Pool("gpu-colab", "process", "Training and answers on a machine that somebody has made a worker.", 1),
)

GPU_POOLS: Final = tuple(pool for pool in POOLS if pool.name.startswith("gpu-"))


def ensure_pool(client: SyncPrefectClient, pool: Pool) -> None:
    """Makes the pool. One that is there gets the job variables of this version and the defaults that `pool` names;
    its other defaults and its limit are left as a person may have set them.
    """
    worker = BaseWorker.get_worker_class_from_type(pool.type)
    if worker is None:
        raise ValueError(f"{pool.name}: no worker type {pool.type}")
    template = copy.deepcopy(worker.get_default_base_job_template())
    properties = template["variables"]["properties"]
    try:
        found = client.read_work_pool(pool.name)
    except ObjectNotFound:
        found = None
    held = found.base_job_template.get("variables", {}).get("properties", {}) if found else {}
    defaults = {name: field["default"] for name, field in held.items() if name in properties and "default" in field}
    for name, value in (defaults | dict(pool.variables)).items():
        properties[name]["default"] = value
    if found:
        client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=template))
        return
    client.create_work_pool(
        WorkPoolCreate(
            name=pool.name,
            type=pool.type,
            description=pool.description,
            concurrency_limit=pool.concurrency_limit,
            base_job_template=template,
        )
    )


def ensure_gpu_limit(client: SyncPrefectClient, limit: int = 1) -> None:
    """Makes the global concurrency limit `gpu`; one that is there keeps the number that a person may have given it."""
    try:
        client.read_global_concurrency_limit_by_name(GPU_LIMIT)
    except ObjectNotFound:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=limit))


def ensure_pools(wheel: str | None) -> list[str]:
    """Makes every pool and the limit `gpu`; `wheel` is what rented machines install (see lambda_cloud/wheel.py)."""
    with get_client(sync_client=True) as client:
        for pool in POOLS:
            variables = {"wheel": wheel} if wheel and pool.type == "lambda-cloud" else {}
            ensure_pool(client, Pool(**{**vars(pool), "variables": variables}))
        ensure_gpu_limit(client)
    return [pool.name for pool in POOLS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", help="address of rawtune's wheel in the store")
    print("work pools:", ", ".join(ensure_pools(parser.parse_args().wheel)))
