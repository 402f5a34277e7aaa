"""Charts as inline SVG: no script, no network; colours are the page's, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup, escape

WIDTH: Final = 640
HEIGHT: Final = 190
"""View box of a histogram; the page scales it to its column."""


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
    totals = [sum(values[place] for values in series.values()) for place in range(bars)]
    top = max(totals, default=0) or 1
    left, bottom, gap = 44, HEIGHT - 24, 1.5
    step = (WIDTH - left) / max(bars, 1)
    drawn = [f'<text class="tick" x="{left - 6}" y="14" text-anchor="end">{top:,}</text>']
    drawn.append(f'<line class="grid" x1="{left}" x2="{WIDTH}" y1="{bottom + 0.5}" y2="{bottom + 0.5}"/>')
    for place in range(bars):
        low, high = longest * place // bars, longest * (place + 1) // bars
        y = float(bottom)
        for number, (name, values) in enumerate(series.items()):
            height = (bottom - 8) * values[place] / top
            y -= height
            title = f"<title>{low + 1:,} to {high:,} tokens: {values[place]:,} {escape(name)}</title>"
            drawn.append(
                f'<rect class="s{number}" x="{left + place * step + gap / 2:.1f}" y="{y:.1f}" '
                f'width="{step - gap:.1f}" height="{height:.1f}">{title}</rect>'
            )
    for quarter, anchor in enumerate(("start", "middle", "middle", "middle", "end")):
        x = left + quarter * (WIDTH - left) / 4
        label = f'text-anchor="{anchor}">{longest * quarter // 4:,}</text>'
        drawn.append(f'<text class="tick" x="{x:.0f}" y="{HEIGHT - 6}" {label}')
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(caption)}">'
        f"{''.join(drawn)}</svg>"
    )
