"""How figures are written on pages, in tables and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def percent(value: float | None, digits: int = 0) -> str:
    """`0.613` → `61%`; a dash for nothing."""
    return "–" if not isinstance(value, int | float) else f"{100 * value:.{digits}f}%"


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


def count(value: float | None) -> str:
    """`947312` → `947,312`; a dash for nothing."""
    return "–" if value is None else f"{value:,}"


def nats(value: float | None) -> str:
    """Three decimals; a dash for nothing."""
    return f"{value:.3f}" if isinstance(value, int | float) else "–"
