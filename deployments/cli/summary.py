"""What a finished run prints: what was learned, base against tuned, and where to look further."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from deployments import console
from deployments.cli.examples import print_examples
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport
from tasks.base.runs import read_json
from tasks.base.store import Store

STREAMS = {
    "answers_held_out": "answers about held-out documents",
    "answers_train": "answers about trained documents",
    "raw_held_out": "raw text of held-out documents",
    "raw_train": "raw text of trained documents",
    "general_loss": "general text, which nobody trained on",
}
"""Loss streams of the evaluation, in the order of the table."""


def print_summary(store: Store, report: RunReport) -> None:
    """Prints the table of the run's evaluation, if it came that far, and the places of report and release."""
    findings = next((step.artifact for step in report.steps if step.step == "evaluation/report"), None)
    if findings is not None:
        artifact = Artifact(step="evaluation/report", version="", **findings)
        summary = read_json(store, artifact, "summary.json")
        console.output.print(f"\n[bold]{escape(summary['verdict'])}[/]", highlight=False)
        console.output.print(what_was_learned(summary))
        print_examples(store, report)
    console.print_steps(report)
    if found := report.resolved.get("search"):
        print_search(found)
    places = {"report": report.report, "release": report.release}
    console.print_places({label: place for label, place in places.items() if place})
    console.print_places({"details": f"rawtune up{_store(store)}   (the run in the Prefect UI)"})
    if report.release:
        console.print_places({"next": f"rawtune chat{_store(store)}   (ask it yourself, base beside tuned)"})


def _store(store: Store) -> str:
    return "" if store.root == Store(console.DEFAULT_STORE).root else f" --store {store.uri}"


def print_refusal(store: Store, report: RunReport) -> None:
    """Prints what a refused run measured, every reason with the parameter that decides it, and where the report is."""
    print_summary(store, report)
    console.output.print("\n[bold red]Refused[/] because", highlight=False)
    for reason in report.resolved.get("refused", ()):
        console.output.print(f"  {escape(reason)}", highlight=False)


def print_search(found: dict[str, Any]) -> None:
    """The winner of a search as arguments for `rawtune retrain`, and its page."""
    settings = " ".join(f"--set training.{name}={value:g}" for name, value in found["training"].items())
    console.print_places({"search": found["summary"], "settings": settings, "trials": found["page"]})


def what_was_learned(summary: dict[str, Any]) -> Table:
    """The base-versus-tuned table of an evaluation's summary.json: shares of right answers, then losses.

    `guess` is the best that is had without a model from the other trained facts of each kind; figures mean something
    only above it.
    """
    table = Table(box=None, pad_edge=False, title="Mean scores", title_justify="left", title_style="")
    for column in ("", "guess", "base", "tuned", "difference"):
        table.add_column(column, justify="left" if column == "" else "right")
    arms, differences, losses = summary["arms"], summary["differences"], summary["losses"]
    for suite, gain in differences.items():
        table.add_row(
            f"{suite} ({gain['items']} questions)",
            _share(arms.get("guess", {}).get(suite)),
            _share(arms["base"].get(suite)),
            _share(arms["tuned"].get(suite)),
            _gain(gain),
        )
    for stream, label in STREAMS.items():
        base, tuned = (losses.get(arm, {}).get(stream) for arm in ("base", "tuned"))
        if base and tuned:
            change = tuned["loss"] - base["loss"]
            table.add_row(
                f"loss on {label}", "", f"{base['loss']:.3f}", f"{tuned['loss']:.3f}", f"{change:+.3f} nats/token"
            )
    return table


def _share(figure: dict[str, Any] | None) -> str:
    return "–" if figure is None else f"{100 * figure['estimate']:.0f}%"


def _gain(figure: dict[str, Any]) -> str:
    interval = "" if figure["low"] is None else f"  [{100 * figure['low']:+.0f}, {100 * figure['high']:+.0f}]"
    return f"{100 * figure['estimate']:+.0f} points{escape(interval)}"
