"""The report page: one HTML file without scripts or network, readable in light and dark and on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from jinja2 import Environment

from tasks.base.records import Answer, Item
from tasks.evaluation.general import PREFIX
from tasks.evaluation.over_time import in_words
from tasks.evaluation.params import Arm, Suite
from tasks.evaluation.scoring import Score
from tasks.evaluation.statistics import GUESS
from tasks.figures.charts import Interval, curve, forest
from tasks.figures.display import shown
from tasks.figures.statistics import MIN_CLUSTERS, MIN_ITEMS

EXAMPLES: Final = 6
"""Examples per section of the page."""

Answers = Mapping[str, Mapping[str, Answer]]
"""Arm → item id → answer."""


@dataclass(frozen=True)
class Facts:
    """What the page shows beside the figures."""

    loss_log: Sequence[Mapping[str, Any]]
    """`step` and `loss` of every optimizer step."""
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
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": percent,
        "points": points,
        "interval": interval,
        "pvalue": pvalue,
        "nats": nats,
        "count": count,
        "in_words": in_words,
    }
    template = environment.from_string((resources.files("tasks.evaluation") / "report.html.jinja").read_text("utf-8"))
    losses: Mapping[str, Mapping[str, Any]] = summary["losses"]
    streams = sorted({stream for arm in losses.values() for stream in arm})
    rows = [
        Interval(suite, row["estimate"], row["low"], row["high"], row["tone"])
        for suite, row in summary["differences"].items()
    ]
    steps = [(float(entry["step"]), float(entry["loss"])) for entry in facts.loss_log if entry.get("loss") is not None]
    return template.render(
        summary=summary,
        headline=shown(facts.headline),
        enough=f"{MIN_ITEMS} of {MIN_CLUSTERS} documents",
        arms=list(summary["arms"]),
        suites=list(summary["suites"]),
        contrasted=[suite for suite in summary["suites"] if any(suite in row for row in summary["contrasts"].values())],
        streams=streams,
        tokens={name: f"{max(arm.get(name, {}).get('tokens', 0) for arm in losses.values()):,}" for name in streams},
        forest=forest(rows) if rows else None,
        curve=curve(steps, "Training loss by step") if len(steps) > 1 else "",
        examples=examples(items, answers, scores),
        leaks=[{name: shown(str(hit.get(name, ""))) for name in LEAK_FIELDS} for hit in facts.leaks[:EXAMPLES]],
        lineage=[(name, shown(value)) for name, value in facts.lineage],
        data=facts.data,
        parameters=[(title, [(name, shown(value)) for name, value in rows]) for title, rows in facts.parameters],
    )


def examples(
    items: Sequence[Item], answers: Answers, scores: Mapping[str, Sequence[Score]]
) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Sections of examples: where the tuned model wins, loses, and answers what nobody can know; in the order of the
    items' ids.
    """
    by_arm = {arm: {one.item_id: one for one in found} for arm, found in scores.items() if arm != GUESS}
    before, after = by_arm.get(Arm.BASE, {}), by_arm.get(Arm.TUNED, {})
    both = [item for item in items if item.id in before and item.id in after]
    gain = {item.id: after[item.id].score - before[item.id].score for item in both}
    wins = sorted(
        (item for item in both if gain[item.id] > 0 and item.answerable),
        key=lambda item: (_is_general(item), -gain[item.id], item.id),
    )
    losses = sorted(
        (item for item in both if gain[item.id] < 0), key=lambda item: (_is_general(item), gain[item.id], item.id)
    )
    invented = [
        item
        for item in both
        if item.suite == Suite.UNANSWERABLE and not item.answerable and not after[item.id].abstained
    ]
    rest = [item for item in both if gain[item.id] == 0 and item.suite != Suite.UNANSWERABLE]
    sections = (
        ("Where tuning helped", "The largest gains.", wins),
        ("Where tuning hurt", "The largest losses.", losses),
        ("Invented answers", "Questions that nobody can answer, and what the tuned model says.", invented),
        (
            "Where a page and the code disagree",
            "A page names the file, the snapshot does not have it.",
            [item for item in items if item.suite == Suite.STALE and item.answers == ("no",)],
        ),
        ("No difference", "Base and tuned score alike.", rest),
    )
    return [
        (title, note, [_example(item, answers, by_arm) for item in found[:EXAMPLES]]) for title, note, found in sections
    ]


def _example(item: Item, answers: Answers, scores: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    return {
        "suite": item.suite,
        "source": shown(item.document_id if _is_general(item) else f"{item.document_id}, {_lines(item.span)}"),
        "question": shown(item.question),
        "reference": shown(item.answers[0]),
        "answers": [
            (arm, {"text": shown(answers[arm][item.id].text) or "(nothing)", "score": found[item.id].score})
            for arm, found in scores.items()
            if item.id in found
        ],
    }


def _is_general(item: Item) -> bool:
    return item.suite.startswith(PREFIX)


def _lines(span: tuple[int, int]) -> str:
    return f"line {span[0]}" if span[0] == span[1] else f"lines {span[0]}–{span[1]}"


def percent(value: float | None) -> str:
    """`0.613` → `61%`; a dash for nothing."""
    return "–" if not isinstance(value, int | float) else f"{100 * value:.0f}%"


def points(value: float | None) -> str:
    """`0.613` → `+61.3`, percentage points."""
    return "–" if value is None else f"{100 * value:+.1f}"


def interval(figure: Mapping[str, Any]) -> str:
    """`[55, 67]`, in percent."""
    if figure["low"] is None or figure["high"] is None:
        return "one document"
    return f"[{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"


def pvalue(value: float | None) -> str:
    """Two significant digits, `<0.001` below that; a dash for nothing."""
    if not isinstance(value, int | float):
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.2g}"


def count(value: int | None) -> str:
    """`947312` → `947,312`; a dash for nothing."""
    return "–" if value is None else f"{value:,}"


def nats(value: float | None) -> str:
    """Three decimals; a dash for nothing."""
    return f"{value:.3f}" if isinstance(value, int | float) else "–"
