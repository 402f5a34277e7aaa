"""`rawtune gpu`: what is rented, and giving it back. Needs LAMBDA_API_URL and LAMBDA_API_KEY, nothing of Prefect."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from deployments.lambda_cloud.reaper import Rented

gpu_app = typer.Typer(help="Rented GPU machines.", no_args_is_help=True)

Pool = Annotated[str | None, typer.Option(help="Only machines of this work pool.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@gpu_app.command("list")
def list_machines(pool: Pool = None, json: Json = False) -> None:
    """Show the machines that rawtune has rented: what they cost and when they end."""
    from deployments.lambda_cloud.client import LambdaClient
    from deployments.lambda_cloud.reaper import rented

    _print(asyncio.run(rented(LambdaClient.from_environment(), pool)), json)


@gpu_app.command("reap")
def reap_machines(
    pool: Pool = None,
    everything: Annotated[bool, typer.Option("--all", help="Also machines whose time is not over.")] = False,
    json: Json = False,
) -> None:
    """Terminate rented machines whose time is over, and wait until they are gone."""
    from deployments.lambda_cloud.client import LambdaClient
    from deployments.lambda_cloud.reaper import reap

    _print(asyncio.run(reap(LambdaClient.from_environment(), pool, everything)), json)


def _print(machines: list[Rented], as_json: bool) -> None:
    rows = [_row(one) for one in machines]
    if as_json:
        sys.stdout.write(json.dumps({"machines": rows, "usd": round(sum(row["usd"] for row in rows), 4)}) + "\n")
        return
    from rich.table import Table

    from deployments import console

    table = Table(box=None, pad_edge=False)
    for name in ("machine", "type", "region", "status", "pool", "usd", "ends in"):
        table.add_column(name, justify="right" if name in ("usd", "ends in") else "left", no_wrap=name == "machine")
    for row in rows:
        left = f"{row['seconds_left'] / 60:.0f} min" if row["seconds_left"] > 0 else "[red]overdue[/]"
        names = ("machine", "type", "region", "status", "pool")
        table.add_row(*(str(row[name]) for name in names), f"{row['usd']:.2f}", left)
    console.output.print(table if rows else "no machines", highlight=False)


def _row(one: Rented) -> dict[str, Any]:
    return {
        "machine": one.machine.id,
        "type": one.machine.machine_type,
        "region": one.machine.region,
        "status": one.machine.status.value,
        "pool": one.claim.pool,
        "run": str(one.claim.run),
        "usd_per_hour": one.machine.usd_per_hour,
        "usd": round(one.usd, 4),
        "seconds_left": round(one.seconds_left),
        "overdue": one.is_overdue,
    }
