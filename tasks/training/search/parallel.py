"""Trials as lines over parallel axes: one axis per setting and one for the objective. A self-contained SVG, no script,
no network, readable in light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from tasks.training.search.study import Tried

WIDTH, HEIGHT = 720, 320
"""View box; whoever shows the picture scales it."""
LEFT, RIGHT, TOP, BOTTOM = 60, 60, 44, 24

STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#444}.name{font-weight:600}.axis{stroke:#999}
.trial{fill:none;stroke:#7a8fb8;stroke-width:1.5;opacity:.75}.pruned,.failed,.open{stroke:#b5b5b5;stroke-dasharray:4 4}
.winner{stroke:#c2410c;stroke-width:3;opacity:1}
@media(prefers-color-scheme:dark){text{fill:#ccc}.trial{stroke:#8ea7d8}.winner{stroke:#fb923c}}
"""

OBJECTIVE: Final = "objective"
"""Name of the last axis."""


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
    step = (WIDTH - LEFT - RIGHT) / max(len(axes) - 1, 1)
    places = {axis.name: LEFT + number * step for number, axis in enumerate(axes)}
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}"><style>{}</style>'
        ).format(WIDTH, HEIGHT, f"{len(trials)} trials over {', '.join(names)}", Markup(STYLE))
    ]
    for axis in axes:
        x = places[axis.name]
        label = objective if axis.name == OBJECTIVE else axis.name.replace("_", " ")
        anchor, name_x = ("end", float(WIDTH)) if axis is axes[-1] else ("middle", x)
        parts.append(_name(name_x, anchor, label))
        parts.append(
            Markup('<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(x, TOP, HEIGHT - BOTTOM)
        )
        for value in axis.ticks:
            y = axis.place(value) + 4
            parts.append(
                Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(x - 6, y, f"{value:.4g}")
            )
    for trial in sorted(trials, key=lambda one: (one.number == winner, one.number)):
        found = trial.settings | ({} if trial.value is None else {OBJECTIVE: trial.value})
        points = " ".join(
            f"{places[axis.name]:.1f},{axis.place(found[axis.name]):.1f}" for axis in axes if axis.name in found
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
            return (TOP + HEIGHT - BOTTOM) / 2
        share = (self._scale(value) - self._low) / (self._high - self._low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _title(trial: Tried) -> str:
    settings = ", ".join(f"{name} {value:.4g}" for name, value in sorted(trial.settings.items()))
    return f"trial {trial.number} ({trial.state}): {settings}" + (
        "" if trial.value is None else f" → {trial.value:.4f}"
    )
