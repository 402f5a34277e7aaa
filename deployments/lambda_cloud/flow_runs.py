"""What the Prefect server is told of rentals: their dollars, and which runs have lost the worker that was to rent."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled

from deployments.lambda_cloud.rental import Log, Stay
from tasks.base.files import write_text
from tasks.base.store import Store

KEY: Final = "gpu-cost"

STRANDED_SECONDS: Final = 300
"""A living worker renews the state of a run that waits for capacity every 30 s, and a launch takes less than this."""


async def report_cost(client: PrefectClient, run: UUID, stay: Stay, now: float, log: Log) -> None:
    """Adds one row of cost to the run's artifact, which the UI shows; a run that needed several machines has several.

    The ledger's entry (topic `rental`) lies in the store that the run was told to use (parameter `store`). If this
    worker cannot write there the run's artifact still has the figure.

    Args:
        client: of the Prefect server.
        run: that the machine was rented for.
        stay: the rental, which is over.
        now: the provider's clock.
        log: says what could not be written.
    """
    usd = stay.usd(now)
    row = {
        "machine": stay.machine.id,
        "type": stay.machine.machine_type,
        "region": stay.machine.region,
        "usd_per_hour": stay.machine.usd_per_hour,
        "seconds": round(now - stay.billed_from),
        "usd": round(usd, 4),
    }
    await client.create_artifact(
        ArtifactCreate(
            key=KEY,
            type="table",
            description=f"At most ${usd:.2f}: from the end of the boot to termination, begun minutes counted",
            data=json.dumps([row]),
            flow_run_id=run,
        )
    )
    store = (await client.read_flow_run(run)).parameters.get("store")
    if isinstance(store, str):
        entry = {"launched": datetime.fromtimestamp(stay.claim.launched, UTC).isoformat(), **row}
        try:
            await anyio.to_thread.run_sync(_note, store, run, stay.machine.id, entry)
        except Exception as error:  # every filesystem has its own error types
            log.warning("the ledger of %s lacks the $%.2f of machine %s: %s", store, usd, stay.machine.id, error)


def _note(store: str, run: UUID, machine: str, entry: dict[str, Any]) -> None:
    path = Store(store).root / "ledger" / str(run) / "rental" / f"{machine}.json"
    write_text(path, json.dumps(entry, indent=1) + "\n")


async def requeue_stranded(
    client: PrefectClient, pool: str, kept: Collection[UUID], log: Log, seconds: float = STRANDED_SECONDS
) -> list[UUID]:
    """Puts Pending runs of the pool that have neither machine nor worker back in line; returns them.

    Args:
        client: of the Prefect server.
        pool: name of the work pool.
        kept: runs that have a machine or are looked after by this process.
        log: says which runs were put back.
        seconds: for which nobody has touched a stranded run.
    """
    waiting = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING"]}}}),
        work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [pool]}}),
    )
    oldest = datetime.now(UTC) - timedelta(seconds=seconds)
    stranded = [run.id for run in waiting if run.id not in kept and run.state and run.state.timestamp < oldest]
    for run in stranded:
        try:
            await client.set_flow_run_state(run, Scheduled(message="Its worker went away."), force=True)
            log.info("run %s had lost its worker; it waits in line again", run)
        except ObjectNotFound:
            continue
    return stranded
