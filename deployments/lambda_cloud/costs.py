"""The dollars of a rental: an artifact of its flow run, which the Prefect UI shows, and an entry in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate

from deployments.lambda_cloud.provider import Machine
from deployments.lambda_cloud.rental import Log
from tasks.base.files import write_text
from tasks.base.store import Store

KEY: Final = "gpu-cost"


async def report_cost(client: PrefectClient, run: UUID, machine: Machine, seconds: float, usd: float, log: Log) -> None:
    """Adds one row of cost to the run; a run that needed several machines has several.

    The ledger's entry (topic `rental`) lies in the store that the run was told to use (parameter `store`). If this
    worker cannot write there the run's artifact still has the figure.
    """
    row = {
        "machine": machine.id,
        "type": machine.machine_type,
        "region": machine.region,
        "usd_per_hour": machine.usd_per_hour,
        "seconds": round(seconds),
        "usd": round(usd, 4),
    }
    await client.create_artifact(
        ArtifactCreate(
            key=KEY,
            type="table",
            description=f"At most ${usd:.2f}: from launch to termination, begun minutes counted",
            data=json.dumps([row]),
            flow_run_id=run,
        )
    )
    store = (await client.read_flow_run(run)).parameters.get("store")
    if isinstance(store, str):
        launched = datetime.now(UTC) - timedelta(seconds=seconds)
        entry = {"launched": launched.isoformat(), **row}
        try:
            await anyio.to_thread.run_sync(_note, store, run, machine.id, entry)
        except Exception as error:  # every filesystem has its own error types
            log.warning("the ledger of %s lacks the $%.2f of machine %s: %s", store, usd, machine.id, error)


def _note(store: str, run: UUID, machine: str, entry: dict[str, Any]) -> None:
    write_text(
        Store(store).root / "ledger" / str(run) / "rental" / f"{machine}.json", json.dumps(entry, indent=1) + "\n"
    )
