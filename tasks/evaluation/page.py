"""The report page and its few lines for the Prefect UI, in the order of a reader's questions.

May it be released and why (the gate fills that in, which comes after the report); what it learned, by kind; what it
lost, by domain; answers side by side; how it differs from the last release; then data, cost and lineage.

The lines of Markdown for the Prefect UI also say what the run cost so far. Seconds and dollars are in the run's ledger
and never in an artifact of the store, so they stand there and not on the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasks.base.ledger import Ledger, read_entries
from tasks.base.records import Answer, Item
from tasks.evaluation.comparison import in_words
from tasks.evaluation.general import PREFIX
from tasks.evaluation.params import FORGETTING, Arm, Suite
from tasks.evaluation.scoring import Score, kind_of
from tasks.evaluation.statistics import GUESS
from tasks.figures.charts import Interval, curve, forest
from tasks.figures.page import interval, percent, points, render, shown, shown_markdown
from tasks.figures.statistics import MIN_CLUSTERS, MIN_ITEMS

TEMPLATE: Final = Path(__file__).with_name("report.html.jinja")

LEAKS_SHOWN: Final = 6

EXAMPLE_CHARACTERS: Final = 600
"""Longer texts of an example are cut: two examples of fifty kinds stand on the page."""

STYLES: Final = {Arm.BASE: "faded", Arm.BASE_RETRIEVAL: "s1", GUESS: "s3", Arm.TUNED: "s0"}
"""Arm → its colour in the chart of kinds; other arms are in the table only."""

Answers = Mapping[str, Mapping[str, Answer]]
"""Arm → item id → answer."""


@dataclass(frozen=True)
class Facts:
    """What the page shows beside the figures."""

    loss_log: Sequence[Mapping[str, Any]]
    """`step` and `loss` of every optimizer step, `general` of those after which general text was looked at, `kept` of
    the one whose weights are the adapter.
    """
    leaks: Sequence[Mapping[str, Any]]
    """Hits of the leak guard."""
    lineage: Sequence[tuple[str, str]]
    """(name, what it is) of everything that the figures rest on."""
    data: Mapping[str, Any] | None = None
    """Figures of the data report; null if there is none."""
    parameters: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ()
    """Section → (name, value)."""
    headline: str = ""
    """Project, sources, model."""


LEAK_FIELDS: Final = ("suite", "rule", "part_id", "question", "answer", "passage")
"""Fields of a leak guard's hit that the page shows."""


def render_page(
    summary: Mapping[str, Any],
    items: Sequence[Item],
    answers: Answers,
    scores: Mapping[str, Sequence[Score]],
    facts: Facts,
) -> str:
    """The page as HTML. Deterministic; everything that a model or a source wrote is escaped and made visible."""
    losses: Mapping[str, Mapping[str, Any]] = summary["losses"]
    streams = sorted({stream for arm in losses.values() for stream in arm})
    rows = [
        Interval(suite, row["estimate"], row["low"], row["high"], row["tone"])
        for suite, row in summary["differences"].items()
    ]
    steps = [(float(entry["step"]), float(entry["loss"])) for entry in facts.loss_log if entry.get("loss") is not None]
    return render(
        TEMPLATE,
        summary=summary,
        headline=shown(facts.headline),
        enough=f"{MIN_ITEMS} of {MIN_CLUSTERS} documents",
        arms=list(summary["arms"]),
        suites=list(summary["suites"]),
        contrasted=[suite for suite in summary["suites"] if any(suite in row for row in summary["contrasts"].values())],
        streams=streams,
        tokens={name: f"{max(arm.get(name, {}).get('tokens', 0) for arm in losses.values()):,}" for name in streams},
        forest=forest(rows) if rows else None,
        looks=[entry for entry in facts.loss_log if "general" in entry],
        kept=next((entry["step"] for entry in facts.loss_log if entry.get("kept")), None),
        last_step=max((entry["step"] for entry in facts.loss_log), default=None),
        curve=curve(steps, "Training loss by step") if len(steps) > 1 else "",
        kinds=list(_kinds(summary["kinds"])),
        styles={arm: style for arm, style in STYLES.items() if arm in summary["arms"]},
        lost=[suite for suite in summary["differences"] if suite.startswith(PREFIX) or suite == FORGETTING],
        previous=in_words(summary["previous"]) if summary["previous"] else "",
        examples=examples(items, answers, scores),
        leaks=[{name: shown(str(hit.get(name, ""))) for name in LEAK_FIELDS} for hit in facts.leaks[:LEAKS_SHOWN]],
        lineage=[(name, shown(value)) for name, value in facts.lineage],
        data=facts.data,
        parameters=[(title, [(name, shown(value)) for name, value in rows]) for title, rows in facts.parameters],
    )


def examples(items: Sequence[Item], answers: Answers, scores: Mapping[str, Sequence[Score]]) -> list[dict[str, Any]]:
    """The tuned model's best and worst answer of every kind in every suite that base and tuned answered.

    Returns:
        `suite`, `kind`, `note` (how the arms did) and `shown` (one example or two) of each, the sources' suites first.
    """
    by_arm = {arm: {one.item_id: one for one in scored} for arm, scored in scores.items() if arm != GUESS}
    before, after = by_arm.get(Arm.BASE, {}), by_arm.get(Arm.TUNED, {})
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        if item.id in before and item.id in after:
            groups.setdefault((item.suite, kind_of(item)), []).append(item)

    def merit(item: Item) -> tuple[float, float, str]:
        return after[item.id].score, after[item.id].score - before[item.id].score, item.id

    chosen = []
    for (suite, kind), scored in sorted(groups.items(), key=lambda group: (group[0][0].startswith(PREFIX), group[0])):
        best, worst = max(scored, key=merit), min(scored, key=merit)
        ends = [("best", best), ("worst", worst)] if best != worst else [("the only one", best)]
        means = [sum(by[item.id].score for item in scored) / len(scored) for by in (after, before)]
        note = f"{len(scored)} questions, mean: tuned {percent(means[0])}, base {percent(means[1])}"
        shown_ends = [_example(title, item, answers, by_arm) for title, item in ends]
        chosen.append({"suite": suite, "kind": kind, "note": note, "shown": shown_ends})
    return chosen


def _kinds(kinds: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Rows of the chart of kinds, the best known first."""

    def known(entry: tuple[str, Mapping[str, Mapping[str, Any]]]) -> tuple[float, str]:
        return -entry[1].get(Arm.TUNED, {"estimate": 0.0})["estimate"], entry[0]

    for kind, figures in sorted(kinds.items(), key=known):
        tuned = figures.get(Arm.TUNED)
        bounded = tuned is not None and tuned["low"] is not None
        yield {
            "kind": kind,
            "figures": figures,
            "items": max(figure["items"] for figure in figures.values()),
            "value": percent(tuned["estimate"]) if tuned else "–",
            "low": _place(tuned["low"]) if tuned and bounded else None,
            "width": _place(tuned["high"] - tuned["low"]) if tuned and bounded else None,
            "places": [
                {"arm": arm, "style": style, "left": _place(figures[arm]["estimate"])}
                for arm, style in STYLES.items()
                if arm in figures
            ],
        }


def _place(share: float) -> float:
    """Percent of the track's width."""
    return round(100 * share, 2)


def _example(title: str, item: Item, answers: Answers, scores: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    limit = EXAMPLE_CHARACTERS
    return {
        "title": title,
        "suite": item.suite,
        "source": shown(item.document_id if _is_general(item) else f"{item.document_id}, {_lines(item.span)}"),
        "question": shown(item.question, limit),
        "reference": shown(item.answers[0], limit),
        "answers": [
            (arm, {"text": shown(answers[arm][item.id].text, limit) or "(nothing)", "score": scored[item.id].score})
            for arm, scored in scores.items()
            if item.id in scored
        ],
    }


def _is_general(item: Item) -> bool:
    return item.suite.startswith(PREFIX)


def _lines(span: tuple[int, int]) -> str:
    return f"line {span[0]}" if span[0] == span[1] else f"lines {span[0]}–{span[1]}"


def markdown(summary: Mapping[str, Any], costs: Mapping[str, float]) -> str:
    """Verdict, arms table and costs."""
    arms = list(summary["arms"])
    lines = [f"**{shown_markdown(summary['verdict'], 600)}**", ""]
    lines += ["| questions | " + " | ".join(arms) + " | tuned − base |", "|---" * (len(arms) + 2) + "|"]
    for suite in summary["suites"]:
        cells = [summary["arms"][arm].get(suite) for arm in arms]
        gain = summary["differences"].get(suite)
        row = [f"{percent(cell['estimate'])} {interval(cell)}" if cell else "–" for cell in cells]
        change = f"{points(gain['estimate'])} {interval(gain)}" if gain else "–"
        lines.append(f"| {shown_markdown(suite)} | {' | '.join(row)} | {change} |")
    lines.append("")
    if previous := summary.get("previous"):
        gain = previous["differences"].get(Suite.RECALL)
        change = f" Recall: {points(gain['estimate'])} {interval(gain)}." if gain else ""
        lines += [f"{shown_markdown(in_words(previous), 600)}{change}", ""]
    if costs.get("seconds"):
        lines.append(f"Training and answering took {costs['seconds']:,.0f} seconds of torch.")
    if costs.get("usd"):
        lines.append(f"Spent by this run: ${costs['usd']:,.2f}{_per_point(summary, costs['usd'])}.")
    return "\n".join(lines) + "\n"


def run_costs(book: Ledger) -> dict[str, float]:
    """`seconds` of training and answering and `usd` of everything, from the ledger of the run so far."""
    seconds = usd = 0.0
    for entry in read_entries(book.store, book.report.run):
        usd += entry.get("usd") or 0
        spent = entry.get("seconds") or 0
        seconds += sum(spent.values()) if isinstance(spent, dict) else spent
    return {"seconds": seconds, "usd": usd}


def _per_point(summary: Mapping[str, Any], usd: float) -> str:
    gain = summary["differences"].get(Suite.RECALL, {}).get("estimate") or 0
    return f", ${usd / (100 * gain):,.3f} per point of recall" if gain > 0 else ""
