"""What a search came to: the table of trials, the front, the winner, and two pictures of them.

`trials.json` holds every trial, the front of objective and general loss and the winner's settings. `search.svg` shows
trials as lines over parallel axes, one per setting and one for the objective. `search.html` adds the table and a
picture of what a search trades, the objective against what is forgotten. The pictures are self-contained SVG: no
script, no network, readable in light and dark.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup

from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.training.params import Objective, SearchParams
from tasks.training.search.study import Tried

VERSION = "2026.11.30"

LABELS = {Objective.HELD_OUT_LOSS: "held-out loss, nats/token", Objective.RECALL: "recall"}
OBJECTIVE: Final = "objective"
"""Name of the last axis."""
PAGE = Markup("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hyperparameter search</title><style>
:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}th,td{{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #8884}}
th:first-child,td:first-child,td:last-child,th:last-child{{text-align:left}}.winner td{{font-weight:700}}
div{{overflow-x:auto}}svg{{width:100%;height:auto}}</style></head><body>
<p>{headline}</p><h1>Hyperparameter search</h1><p>{summary}</p>{picture}{front}<div>{table}</div></body></html>
""")


def summary(tried: Sequence[Tried], best: Tried, params: SearchParams, bound: float | None) -> str:
    """One line: how many were tried, which one won, what it forgets."""
    settings = ", ".join(f"{name} {value:.4g}" for name, value in sorted(best.settings.items()))
    pruned = sum(one.state == "pruned" for one in tried)
    return (
        f"{len(tried)} trials, {pruned} pruned. Trial {best.number} won with {settings}: "
        f"{LABELS[params.objective]} {best.value:.4f}{_forgets(best, bound)}."
    )


def _forgets(best: Tried, bound: float | None) -> str:
    if best.general_loss is None:
        return ""
    told = f", general loss {best.general_loss:+.4f} nats above base"
    if bound is None or best.general_loss <= bound:
        return told
    return f"{told}: no trial was within training.max_general_loss, {bound:g}, and this one is nearest"


def table_rows(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """One row per trial, by number; the same columns in all."""
    names = sorted({name for one in tried for name in one.settings})
    return [
        {"trial": one.number, "state": one.state}
        | {name: float(f"{one.settings[name]:.4g}") if name in one.settings else None for name in names}
        | {"looks": len(one.looks), "last held-out loss": round(one.looks[-1], 4) if one.looks else None}
        | {"general loss above base": None if one.general_loss is None else round(one.general_loss, 4)}
        | {"objective": None if one.value is None else round(one.value, 4), "why": one.reason}
        for one in tried
    ]


def page(
    rows: Sequence[dict[str, Any]], pictures: tuple[Markup, Markup | None], line: str, winner: int, headline: str
) -> str:
    """The page as HTML."""
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in rows[0])
    body = [
        Markup("<tr{}>{}</tr>").format(
            Markup(' class="winner"') if row["trial"] == winner else "",
            Markup("").join(
                Markup("<td>{}</td>").format("–" if value is None else _cell(value)) for value in row.values()
            ),
        )
        for row in rows
    ]
    table = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, Markup("").join(body))
    picture, traded = pictures
    return PAGE.format(headline=headline, summary=line, picture=picture, front=traded or "", table=table)


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


WIDTH, HEIGHT = 720, 320
"""View box of both pictures; the page scales them."""
AXES_LEFT, AXES_RIGHT, AXES_TOP, AXES_BOTTOM = 60, 60, 44, 24

AXES_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#444}.name{font-weight:600}.axis{stroke:#999}
.trial{fill:none;stroke:#7a8fb8;stroke-width:1.5;opacity:.75}.pruned,.failed,.open{stroke:#b5b5b5;stroke-dasharray:4 4}
.winner{stroke:#c2410c;stroke-width:3;opacity:1}
@media(prefers-color-scheme:dark){text{fill:#ccc}.trial{stroke:#8ea7d8}.winner{stroke:#fb923c}}
"""


def parallel_coordinates(trials: Sequence[Tried], winner: int, objective: str) -> Markup:
    """The picture. A trial without an objective ends before the last axis; its line is dashed.

    Args:
        trials: at least one.
        winner: number of the trial that is drawn in bold.
        objective: label of the last axis.
    """
    names = sorted({name for trial in trials for name in trial.settings})
    axes = [_Axis(name, [trial.settings[name] for trial in trials if name in trial.settings]) for name in names]
    values = [trial.value for trial in trials if trial.value is not None]
    axes += [_Axis(OBJECTIVE, values)] if values else []
    step = (WIDTH - AXES_LEFT - AXES_RIGHT) / max(len(axes) - 1, 1)
    places = {axis.name: AXES_LEFT + number * step for number, axis in enumerate(axes)}
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}"><style>{}</style>'
        ).format(WIDTH, HEIGHT, f"{len(trials)} trials over {', '.join(names)}", Markup(AXES_STYLE))
    ]
    for axis in axes:
        x = places[axis.name]
        label = objective if axis.name == OBJECTIVE else axis.name.replace("_", " ")
        anchor, name_x = ("end", float(WIDTH)) if axis is axes[-1] else ("middle", x)
        parts.append(_name(name_x, anchor, label))
        parts.append(
            Markup('<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
                x, AXES_TOP, HEIGHT - AXES_BOTTOM
            )
        )
        for value in axis.ticks:
            y = axis.place(value) + 4
            parts.append(
                Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(x - 6, y, f"{value:.4g}")
            )
    for trial in sorted(trials, key=lambda one: (one.number == winner, one.number)):
        settled = trial.settings | ({} if trial.value is None else {OBJECTIVE: trial.value})
        points = " ".join(
            f"{places[axis.name]:.1f},{axis.place(settled[axis.name]):.1f}" for axis in axes if axis.name in settled
        )
        style = f"trial {trial.state}" + (" winner" if trial.number == winner else "")
        parts.append(
            Markup('<polyline class="{}" points="{}"><title>{}</title></polyline>').format(style, points, _title(trial))
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _name(x: float, anchor: str, label: str) -> Markup:
    return Markup('<text class="name" x="{:.1f}" y="18" text-anchor="{}">{}</text>').format(x, anchor, label)


class _Axis:
    """Values from bottom to top; logarithmic where they are positive and span a factor of 8 or more."""

    def __init__(self, name: str, values: Sequence[float]) -> None:
        import math

        self.name = name
        low, high = min(values), max(values)
        self._scale = math.log if low > 0 and high / low >= 8 else float
        self._low, self._high = self._scale(low), self._scale(high)
        distinct = sorted(set(values))
        self.ticks = distinct if len(distinct) <= 6 else [low, high]

    def place(self, value: float) -> float:
        """Distance from the top."""
        if self._high == self._low:
            return (AXES_TOP + HEIGHT - AXES_BOTTOM) / 2
        share = (self._scale(value) - self._low) / (self._high - self._low)
        return HEIGHT - AXES_BOTTOM - share * (HEIGHT - AXES_TOP - AXES_BOTTOM)


def _title(trial: Tried) -> str:
    settings = ", ".join(f"{name} {value:.4g}" for name, value in sorted(trial.settings.items()))
    return f"trial {trial.number} ({trial.state}): {settings}" + (
        "" if trial.value is None else f" → {trial.value:.4f}"
    )


FRONT_LEFT, FRONT_RIGHT, FRONT_TOP, FRONT_BOTTOM = 70, 24, 24, 48

FRONT_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#444}.axis{stroke:#999}.bound{stroke:#b5b5b5;stroke-dasharray:4 4}
.point{fill:#7a8fb8}.front{fill:none;stroke:#7a8fb8;stroke-width:1.5}.winner{fill:#c2410c}
@media(prefers-color-scheme:dark){text{fill:#ccc}.point{fill:#8ea7d8}.front{stroke:#8ea7d8}.winner{fill:#fb923c}}
"""


def front(tried: Sequence[Tried], objective: Objective) -> list[Tried]:
    """The complete trials that no other one beats in one respect without losing in the other.

    They come by rising general loss; of equals the first.
    """
    sign = -1 if objective is Objective.RECALL else 1
    points = [
        (one.general_loss, sign * one.value, one.number, one)
        for one in tried
        if one.value is not None and one.general_loss is not None
    ]
    unsurpassed: list[Tried] = []
    best = float("inf")
    for _, cost, _, one in sorted(points):
        if cost < best:
            unsurpassed.append(one)
            best = cost
    return unsurpassed


def front_picture(
    tried: Sequence[Tried], winner: int, objective: Objective, label: str, bound: float | None
) -> Markup | None:
    """The trials by general loss and objective, with front and bound; null where no trial has both.

    Args:
        tried: all trials.
        winner: number of the trial that is drawn in another colour.
        objective: what makes a trial the better one.
        label: of the objective.
        bound: of the general loss; null = none.
    """
    both = [one for one in tried if one.value is not None and one.general_loss is not None]
    if not both:
        return None
    losses = [one.general_loss for one in both if one.general_loss is not None] + ([bound] if bound is not None else [])
    values = [one.value for one in both if one.value is not None]

    def x(loss: float) -> float:
        return FRONT_LEFT + _share(loss, losses) * (WIDTH - FRONT_LEFT - FRONT_RIGHT)

    def y(value: float) -> float:
        return HEIGHT - FRONT_BOTTOM - _share(value, values) * (HEIGHT - FRONT_TOP - FRONT_BOTTOM)

    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}"><style>{}</style>'
        ).format(WIDTH, HEIGHT, f"{label} of {len(both)} trials over general loss", Markup(FRONT_STYLE)),
        _line("axis", FRONT_LEFT, HEIGHT - FRONT_BOTTOM + 8, WIDTH - FRONT_RIGHT, HEIGHT - FRONT_BOTTOM + 8),
        _line("axis", FRONT_LEFT - 8, FRONT_TOP, FRONT_LEFT - 8, HEIGHT - FRONT_BOTTOM),
        _text((FRONT_LEFT + WIDTH - FRONT_RIGHT) / 2, HEIGHT - 8, "middle", "general loss above base, nats/token"),
        _text(FRONT_LEFT - 8, 14, "start", label),
    ]
    for loss in (min(losses), max(losses)):
        parts.append(_text(x(loss), HEIGHT - FRONT_BOTTOM + 24, "middle", f"{loss:.3g}"))
    for value in (min(values), max(values)):
        parts.append(_text(FRONT_LEFT - 14, y(value) + 4, "end", f"{value:.3g}"))
    if bound is not None:
        parts.append(_line("bound", x(bound), FRONT_TOP, x(bound), HEIGHT - FRONT_BOTTOM))
    line = " ".join(f"{x(one.general_loss or 0):.1f},{y(one.value or 0):.1f}" for one in front(both, objective))
    parts.append(Markup('<polyline class="front" points="{}"/>').format(line))
    for one in sorted(both, key=lambda one: (one.number == winner, one.number)):
        settings = ", ".join(f"{name} {value:.4g}" for name, value in sorted(one.settings.items()))
        style = "point winner" if one.number == winner else "point"
        parts.append(
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5"><title>{}</title></circle>').format(
                style,
                x(one.general_loss or 0),
                y(one.value or 0),
                f"trial {one.number}: {settings} → {one.value:.4f}, general loss {one.general_loss:+.4f}",
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _share(value: float, among: Sequence[float]) -> float:
    low, high = min(among), max(among)
    return (value - low) / (high - low) if high > low else 0.5


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(style, x1, y1, x2, y2)


def _text(x: float, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


@step("training/search-report", VERSION)
def search_report(
    run: StepRun,
    trials: list[dict[str, Any]],
    winner: int,
    params: SearchParams,
    max_general_loss: float | None = None,
    headline: str = "",
) -> None:
    """Writes table and pictures.

    Args:
        run: gets the files.
        trials: every trial, as `Tried`.
        winner: number of the best.
        params: what was searched for.
        max_general_loss: within which the winner had to be; null = no bound.
        headline: of the page: project, sources, model.
    """
    tried = [Tried.model_validate(one) for one in trials]
    best = next(one for one in tried if one.number == winner)
    picture = parallel_coordinates(tried, winner, LABELS[params.objective])
    traded = front_picture(tried, winner, params.objective, LABELS[params.objective], max_general_loss)
    rows = table_rows(tried)
    document = {
        "objective": params.objective.value,
        "max_general_loss": max_general_loss,
        "winner": best.model_dump(mode="json"),
        "front": [one.number for one in front(tried, params.objective)],
        "trials": trials,
    }
    run.path("trials.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    run.path("search.svg").write_text(picture + "\n", "utf-8")
    told = summary(tried, best, params, max_general_loss)
    run.path("search.html").write_text(page(rows, (picture, traded), told, winner, headline), "utf-8")
    for one in tried:
        run.count(f"trials:{one.state}")
