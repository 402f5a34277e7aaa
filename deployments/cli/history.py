"""`rawtune show history`: what each snapshot's model knew, what it had forgotten and what it cost, month after month.

Made of the ledger's runs and their evaluation reports. Runs that ended with the same report count once; what all of
them cost is added up.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import jinja2
from pydantic import BaseModel

from deployments import console
from deployments.cli.monthly import TOPICS, dollars, gpu_dollars
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport, read_entries, read_report, runs
from tasks.base.runs import read_json
from tasks.base.store import Store
from tasks.evaluation.params import Arm, Suite
from tasks.figures.charts import lines
from tasks.figures.page import shown
from tasks.text.loss_rows import GENERAL

TEMPLATE: Final = Path(__file__).with_name("history.html.jinja")
PAGE: Final = "history.html"


class Snapshot(BaseModel):
    """One evaluated snapshot of a project."""

    project: str
    date: str
    """Of the first source's commit, `2024-03-31`."""
    commit: str
    recall: dict[str, float]
    """Arm → mean score about trained facts, between 0 and 1."""
    kinds: dict[str, float]
    """Kind of recall question → mean score of the tuned model."""
    general: float | None
    """Loss on general text, tuned minus base, nats a token; null where it was not measured."""
    usd: float


def snapshots(store: Store) -> list[Snapshot]:
    """Every evaluated snapshot, by project and date."""
    found: dict[str, Snapshot] = {}
    for run in runs(store):
        report = read_report(store, run)
        findings = (
            next((one.artifact for one in report.steps if one.step == "evaluation/report"), None) if report else None
        )
        if report is None or findings is None:
            continue
        spend, rentals, trainings = (read_entries(store, run, topic) for topic in TOPICS)
        usd = dollars(spend) + gpu_dollars(rentals, trainings)
        earlier = found.get(findings["sha256"])
        if earlier is not None:
            earlier.usd += usd
            continue
        artifact = Artifact(step="evaluation/report", version="", **findings)
        found[artifact.sha256] = _snapshot(report, read_json(store, artifact, "summary.json"), usd)
    return sorted(found.values(), key=lambda one: (one.project, one.date, one.commit))


def show_history(store: Store, as_json: bool) -> None:
    """Writes the page and prints where it is, or prints the snapshots as one JSON object."""
    found = snapshots(store)
    if as_json:
        sys.stdout.write(json.dumps({"snapshots": [one.model_dump(mode="json") for one in found]}) + "\n")
        return
    if not found:
        console.output.print(f"no evaluated run in {store.uri}", highlight=False)
        return
    target = store.local("history") / PAGE
    target.write_text(page(found), "utf-8")
    for one in found:
        general = "not measured" if one.general is None else f"{one.general:+.3f} nats"
        tuned, base = (f"{100 * one.recall.get(arm, 0):.0f}%" for arm in (Arm.TUNED, Arm.BASE))
        console.output.print(
            f"{one.project}  {one.date} {one.commit}  recall {tuned} (base {base})  general text {general}  "
            f"${one.usd:.2f}",
            highlight=False,
        )
    console.print_places({"history": str(target)})


def page(found: list[Snapshot]) -> str:
    """The page as HTML: for every project its charts and the table behind them."""
    projects = []
    for name in dict.fromkeys(one.project for one in found):
        held = [one for one in found if one.project == name]
        dates = [one.date for one in held]
        arms = list(dict.fromkeys(arm for one in held for arm in one.recall))
        kinds = sorted({kind for one in held for kind in one.kinds})
        recall = {arm: [_percent(one.recall.get(arm)) for one in held] for arm in arms}
        projects.append(
            {
                "name": shown(name),
                "snapshots": held,
                "kinds": kinds,
                "charts": [
                    ("Right about trained facts, percent", lines(recall, dates, "Recall by snapshot")),
                    (
                        "Tuned model by kind of question, percent",
                        lines(
                            {kind: [_percent(one.kinds.get(kind)) for one in held] for kind in kinds},
                            dates,
                            "Recall by kind",
                        ),
                    ),
                    (
                        "Loss on general text, tuned minus base, nats a token",
                        lines({"general": [one.general for one in held]}, dates, "General loss"),
                    ),
                    ("Dollars", lines({"usd": [one.usd for one in held]}, dates, "Cost")),
                ],
            }
        )
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(projects=projects)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _snapshot(report: RunReport, summary: dict[str, Any], usd: float) -> Snapshot:
    first = report.resolved["sources"][0]["snapshot"]
    losses = [summary["losses"].get(arm, {}).get(GENERAL, {}).get("loss") for arm in (Arm.TUNED, Arm.BASE)]
    return Snapshot(
        project=report.resolved.get("project", first["repo"]),
        date=first["committed_at"][:10],
        commit=first["revision"][:7],
        recall={arm: row[Suite.RECALL]["estimate"] for arm, row in summary["arms"].items() if Suite.RECALL in row},
        kinds={kind: row[Arm.TUNED]["estimate"] for kind, row in summary["kinds"].items() if Arm.TUNED in row},
        general=None if None in losses else losses[0] - losses[1],
        usd=usd,
    )
