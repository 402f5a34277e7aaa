"""What a search trades: the objective against what is forgotten. The front, and a picture of it: a self-contained SVG,
no script, no network, readable in light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from tasks.training.params import Objective
from tasks.training.search.study import Tried

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 24, 48

STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#444}.axis{stroke:#999}.bound{stroke:#b5b5b5;stroke-dasharray:4 4}
.point{fill:#7a8fb8}.front{fill:none;stroke:#7a8fb8;stroke-width:1.5}.winner{fill:#c2410c}
@media(prefers-color-scheme:dark){text{fill:#ccc}.point{fill:#8ea7d8}.front{stroke:#8ea7d8}.winner{fill:#fb923c}}
"""


def front(tried: Sequence[Tried], objective: Objective) -> list[Tried]:
    """The complete trials that no other one surpasses in one respect without falling behind in the other, by rising
    general loss; of equals the first.
    """
    sign = -1 if objective is Objective.RECALL else 1
    points = [
        (one.general_loss, sign * one.value, one.number, one)
        for one in tried
        if one.value is not None and one.general_loss is not None
    ]
    found: list[Tried] = []
    best = float("inf")
    for _, cost, _, one in sorted(points):
        if cost < best:
            found.append(one)
            best = cost
    return found


def front_picture(
    tried: Sequence[Tried], winner: int, objective: Objective, label: str, bound: float | None
) -> Markup | None:
    """The trials by general loss and objective, the front as a line, the bound dashed; null where no trial has both.

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
        return LEFT + _share(loss, losses) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - _share(value, values) * (HEIGHT - TOP - BOTTOM)

    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}"><style>{}</style>'
        ).format(WIDTH, HEIGHT, f"{label} of {len(both)} trials over general loss", Markup(STYLE)),
        _line("axis", LEFT, HEIGHT - BOTTOM + 8, WIDTH - RIGHT, HEIGHT - BOTTOM + 8),
        _line("axis", LEFT - 8, TOP, LEFT - 8, HEIGHT - BOTTOM),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "middle", "general loss above base, nats/token"),
        _text(LEFT - 8, 14, "start", label),
    ]
    for loss in (min(losses), max(losses)):
        parts.append(_text(x(loss), HEIGHT - BOTTOM + 24, "middle", f"{loss:.3g}"))
    for value in (min(values), max(values)):
        parts.append(_text(LEFT - 14, y(value) + 4, "end", f"{value:.3g}"))
    if bound is not None:
        parts.append(_line("bound", x(bound), TOP, x(bound), HEIGHT - BOTTOM))
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
