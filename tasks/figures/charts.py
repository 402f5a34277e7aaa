"""Charts as inline SVG without script or network; the page's own colours follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

WIDTH = 640
"""View box; the page scales it to its column."""
HISTOGRAM_HEIGHT = 190


@dataclass(frozen=True)
class Interval:
    """One row of a forest plot; without bounds only the point is drawn."""

    label: str
    estimate: float
    low: float | None
    high: float | None
    tone: str = "open"
    """`better`, `worse` or `open`: what the figures decide, which the bounds alone do not."""


@dataclass(frozen=True)
class ForestRow:
    """A row as the page draws it, positions in percent of the track's width."""

    label: str
    note: str
    tone: str
    """CSS class: `good`, `bad`, `none`."""
    point: float
    start: float | None
    length: float | None


@dataclass(frozen=True)
class Forest:
    """Rows around a common zero, with the ticks of the axis as (percent of the width, percentage points)."""

    rows: tuple[ForestRow, ...]
    ticks: tuple[tuple[float, float], ...]


def forest(rows: Sequence[Interval]) -> Forest:
    """Point estimates with intervals on one axis in percentage points. Text stays text, so a phone shows it at its
    size.
    """
    values = [100 * value for row in rows for value in (row.estimate, row.low, row.high) if value is not None]
    low, high = min([*values, -5.0]), max([*values, 5.0])
    margin = 0.04 * (high - low)
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(100 * (100 * value - low) / (high - low), 2)

    drawn = []
    for row in rows:
        start = length = None
        tone = {"better": "good", "worse": "bad"}.get(row.tone, "none")
        if row.low is not None and row.high is not None:
            start, length = place(row.low), round(place(row.high) - place(row.low), 2)
        note = f"{100 * row.estimate:+.1f}"
        drawn.append(ForestRow(row.label, note, tone, place(row.estimate), start, length))
    ticks = tuple((place(tick / 100), tick) for tick in _ticks(low, high))
    return Forest(tuple(drawn), ticks)


def curve(points: Sequence[tuple[float, float]], caption: str) -> Markup:
    """Losses over steps: a fine line for the values and a bold one for their running mean."""
    left, bottom, top, height = 56, 30, 10, 230
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    low, high = min(ys), max(ys)
    low, high = low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)

    def place(step: float, loss: float) -> tuple[float, float]:
        span = max(xs) - min(xs) or 1
        return left + (step - min(xs)) / span * (WIDTH - left - 8), top + (high - loss) / (high - low) * (
            height - top - bottom
        )

    parts = [_opening(height, caption)]
    for tick in _ticks(low, high):
        y = place(xs[0], tick)[1]
        parts += [_line(left, y, WIDTH - 8, y, "grid"), _text(left - 6, y + 4, f"{tick:g}", "tick", "end")]
    for tick in _ticks(min(xs), max(xs)):
        if tick == int(tick):
            parts.append(_text(place(tick, low)[0], height - 8, f"{tick:g}", "tick", "middle"))
    window = max(1, len(points) // 20)
    around = [ys[max(0, index - window) : index + window + 1] for index in range(len(ys))]
    smooth = [sum(values) / len(values) for values in around]
    for values, name in ((ys, "fine"), (smooth, "bold")):
        path = " ".join("{:.1f},{:.1f}".format(*place(step, loss)) for step, loss in zip(xs, values, strict=True))
        parts.append(Markup('<polyline class="curve {}" points="{}"/>').format(name, path))
    return Markup("").join([*parts, Markup("</svg>")])


COLOURS = 6
NAMES_A_ROW = 3


def lines(series: Mapping[str, Sequence[float | None]], labels: Sequence[str], caption: str) -> Markup:
    """Named lines over the same places, such as months; None leaves a gap.

    A line's class is `s0` to `s5` in turn, with `dashed` from the seventh on. One line alone bears no name.

    Args:
        series: name → one value per label.
        labels: of the places, in order.
        caption: for screen readers.
    """
    left, right, top, height = 72, 16, 12, 250
    named = len(series) > 1
    bottom = 34 + named * (24 + 24 * ((len(series) - 1) // NAMES_A_ROW))
    values = [value for points in series.values() for value in points if value is not None]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    high = high if high > low else low + 1
    step = (WIDTH - left - right) / max(len(labels) - 1, 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return left + index * step, top + (high - value) / (high - low) * (height - top - bottom)

    parts = [_opening(height, caption)]
    for tick in _ticks(low, high):
        y = place(0, tick)[1]
        parts += [_line(left, y, WIDTH - right, y, "grid"), _text(left - 6, y + 4, f"{tick:g}", "tick", "end")]
    for index in sorted({0, len(labels) // 2, len(labels) - 1}) if labels else []:
        anchor = "start" if index == 0 else "end" if index == len(labels) - 1 else "middle"
        parts.append(_text(place(index, low)[0], height - bottom + 24, labels[index], "tick", anchor))
    for number, (name, points) in enumerate(series.items()):
        tone = f"s{number % COLOURS}" + (" dashed" if number >= COLOURS else "")
        for run in _unbroken(points):
            drawn = [place(index, value) for index, value in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
            parts.append(Markup('<polyline class="{}" points="{}"/>').format(tone, path))
            parts += [Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(tone, x, y) for x, y in drawn]
        if named:
            down, across = divmod(number, NAMES_A_ROW)
            spot = left + across * (WIDTH - left) / NAMES_A_ROW, height - bottom + 50 + 24 * down
            parts.append(_text(*spot, name, f"name {tone}", "start"))
    return Markup("").join([*parts, Markup("</svg>")])


def _unbroken(points: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Stretches of values between the gaps."""
    runs: list[list[tuple[int, float]]] = [[]]
    for index, value in enumerate(points):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((index, value))
    return [run for run in runs if run]


def _ticks(low: float, high: float) -> list[float]:
    """About five round values within the range (steps of 1, 2 or 5 times a power of ten)."""
    if high <= low:
        return [low]
    raw = (high - low) / 5
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    return [round(index * step, 10) for index in range(ceil(low / step), floor(high / step) + 1)]


def _opening(height: float, caption: str) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">').format(
        WIDTH, height, caption
    )


def bar(parts: Sequence[tuple[str, float, str]], largest: float) -> Markup:
    """A horizontal bar of stacked parts, to stand in a table's cell.

    Args:
        parts: name (shown as tooltip), value and CSS class of each.
        largest: value that fills the width.
    """
    drawn, left = [], 0.0
    for name, value, style in parts:
        width = 100 * value / largest if largest else 0.0
        title = f"<title>{escape(name)}: {value:,.0f}</title>"
        drawn.append(f'<rect class="{style}" x="{left:.2f}" y="0" width="{width:.2f}" height="10">{title}</rect>')
        left += width
    return Markup(f'<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none">{"".join(drawn)}</svg>')


def histogram(series: Mapping[str, Sequence[int]], longest: int, caption: str) -> Markup:
    """Stacked bars over lengths from 0 to `longest` tokens.

    Args:
        series: number per bar, by name; the n-th name is drawn in the CSS class `s<n>`.
        longest: right end of the axis.
        caption: for people who do not see it.
    """
    bars = max((len(values) for values in series.values()), default=0)
    totals = [sum(values[column] for values in series.values()) for column in range(bars)]
    top = max(totals, default=0) or 1
    left, bottom, gap = 44, HISTOGRAM_HEIGHT - 24, 1.5
    step = (WIDTH - left) / max(bars, 1)
    drawn = [f'<text class="tick" x="{left - 6}" y="14" text-anchor="end">{top:,}</text>']
    drawn.append(f'<line class="grid" x1="{left}" x2="{WIDTH}" y1="{bottom + 0.5}" y2="{bottom + 0.5}"/>')
    for column in range(bars):
        low, high = longest * column // bars, longest * (column + 1) // bars
        y = float(bottom)
        for number, (name, values) in enumerate(series.items()):
            height = (bottom - 8) * values[column] / top
            y -= height
            title = f"<title>{low + 1:,} to {high:,} tokens: {values[column]:,} {escape(name)}</title>"
            drawn.append(
                f'<rect class="s{number}" x="{left + column * step + gap / 2:.1f}" y="{y:.1f}" '
                f'width="{step - gap:.1f}" height="{height:.1f}">{title}</rect>'
            )
    for quarter, anchor in enumerate(("start", "middle", "middle", "middle", "end")):
        x = left + quarter * (WIDTH - left) / 4
        label = f'text-anchor="{anchor}">{longest * quarter // 4:,}</text>'
        drawn.append(f'<text class="tick" x="{x:.0f}" y="{HISTOGRAM_HEIGHT - 6}" {label}')
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HISTOGRAM_HEIGHT}" role="img" aria-label="{escape(caption)}">'
        f"{''.join(drawn)}</svg>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(name, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, name: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        name, x, y, anchor, escape(text)
    )
