"""`rawtune show ledger`: what the runs of each month did and cost.

A run belongs to the month of its scheduled start; a rented machine belongs to the month of its launch if its run never
got so far as to say when it was to start. Dollars are those that the ledger holds: calls of APIs, rentals from launch
to termination, and training on a machine whose price is known (`training.usd_per_hour`). Training on a rented machine
is part of its rental and not counted twice.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel

from deployments import console
from tasks.base.ledger import RunReport, read_entries, read_report, runs
from tasks.base.store import Store

UNDATED = "undated"
"""Month of runs that ended before they had resolved their sources."""

TOPICS = ("spend", "rental", "training")
"""Of the ledger: calls of APIs, rented machines, and training with an entry every few steps and one of the whole."""


class Month(BaseModel):
    """One month of the ledger."""

    month: str
    """`2024-03`."""
    runs: int = 0
    """Runs on other machines, which such runs started, are counted as well."""
    seconds: float = 0.0
    """Of all runs together."""
    steps: dict[str, int] = {}
    """Number of steps by state."""
    releases: int = 0
    """Releases that no earlier month has; a run that finds nothing new ends with the last one again."""
    api_usd: float = 0.0
    gpu_usd: float = 0.0

    @property
    def usd(self) -> float:
        """Everything together."""
        return self.api_usd + self.gpu_usd


def months(store: Store) -> list[Month]:
    """Every month that has a run, the oldest first."""
    found: dict[str, Month] = {}
    released: dict[str, set[str]] = {}
    for run in runs(store):
        report = read_report(store, run)
        entries = {topic: read_entries(store, run, topic) for topic in TOPICS}
        if report is None and not any(entries.values()):
            continue
        name = _name(report, entries["rental"])
        month = found.setdefault(name, Month(month=name))
        month.runs += 1
        if report is not None:
            month.seconds += report.seconds
            for step in report.steps:
                month.steps[step.state] = month.steps.get(step.state, 0) + 1
            if report.release:
                released.setdefault(name, set()).add(report.release)
        month.api_usd += dollars(entries["spend"])
        month.gpu_usd += gpu_dollars(entries["rental"], entries["training"])
    known: set[str] = set()
    for name in sorted(found):
        found[name].releases = len(released.get(name, set()) - known)
        known |= released.get(name, set())
    return [found[name] for name in sorted(found)]


def show_months(store: Store, as_json: bool) -> None:
    """Prints the months, with their dollars."""
    found = months(store)
    if as_json:
        rows = [month.model_dump(mode="json") | {"usd": round(month.usd, 6)} for month in found]
        sys.stdout.write(json.dumps({"months": rows, "usd": round(sum(month.usd for month in found), 6)}) + "\n")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("month", "runs", "hours", "steps done", "found", "failed", "releases", "API $", "GPU $", "all $"):
        table.add_column(title, justify="left" if title == "month" else "right")
    for month in found:
        counts = [month.steps.get(state, 0) for state in ("Completed", "Cached", "Failed")]
        figures = [month.runs, f"{month.seconds / 3600:.2f}", *counts, month.releases]
        dollars = [f"{usd:.2f}" for usd in (month.api_usd, month.gpu_usd, month.usd)]
        table.add_row(month.month, *map(str, figures), *dollars)
    console.output.print(table if found else f"no runs in {store.uri}", highlight=False)


def dollars(entries: list[dict[str, Any]]) -> float:
    """Sum of what is known; a model without a price has none."""
    return float(sum(entry.get("usd") or 0.0 for entry in entries))


def gpu_dollars(rentals: list[dict[str, Any]], trainings: list[dict[str, Any]]) -> float:
    """Training on a rented machine is part of its rental."""
    return dollars(rentals) or dollars(trainings)


def _name(report: RunReport | None, rentals: list[dict[str, Any]]) -> str:
    scheduled = report.resolved.get("scheduled") if report else None
    dates = [scheduled, *sorted(entry["launched"] for entry in rentals)]
    return next((str(date)[:7] for date in dates if date), UNDATED)
