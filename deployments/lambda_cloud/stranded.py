"""Runs whose worker died before it rented anything: they stay Pending, which no worker looks at again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled

from deployments.lambda_cloud.rental import Log

STRANDED_SECONDS: Final = 300
"""A living worker renews the state of a run that waits for capacity every 30 s, and a launch takes less than this."""


async def requeue_stranded(client: PrefectClient, pool: str, kept: Collection[UUID], log: Log) -> list[UUID]:
    """Puts Pending runs of the pool that have neither machine nor worker back in line; returns them.

    Args:
        client: of the Prefect server.
        pool: name of the work pool.
        kept: runs that have a machine or are looked after by this process.
        log: says which runs were put back.
    """
    waiting = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING"]}}}),
        work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [pool]}}),
    )
    oldest = datetime.now(UTC) - timedelta(seconds=STRANDED_SECONDS)
    stranded = [run.id for run in waiting if run.id not in kept and run.state and run.state.timestamp < oldest]
    for run in stranded:
        try:
            await client.set_flow_run_state(run, Scheduled(message="Its worker went away."), force=True)
            log.info("run %s had lost its worker; it waits in line again", run)
        except ObjectNotFound:
            continue
    return stranded
