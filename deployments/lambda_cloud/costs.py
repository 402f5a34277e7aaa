"""The dollars of a rental, as an artifact of its flow run that the Prefect UI shows."""

from __future__ import annotations

import json
from typing import Final
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate

from deployments.lambda_cloud.provider import Machine

KEY: Final = "gpu-cost"


async def report_cost(client: PrefectClient, run: UUID, machine: Machine, seconds: float, usd: float) -> None:
    """Adds one row of cost to the run; a run that needed several machines has several."""
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
