"""What every page shares: its look, how figures are written, and text of a model made safe.

A page is one HTML file, without script or network, light and dark, for a phone and for a desk. Figures are written the
same way in tables, in the terminal and in Markdown. A model can write anything: markup, terminal escapes, text that
runs backwards, a hundred kilobytes of one letter. The template engine escapes HTML; here everything invisible is made
visible and everything endless is cut.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jinja2

FOLDER: Final = Path(__file__).parent
"""Holds `page.html.jinja`, which a page's own template extends."""
DECISION_SLOT: Final = '<section id="decision"></section>'
"""Where the evaluation's page has room for the gate's decision, which comes after it."""
SHOWN_CHARACTERS: Final = 1_200
"""Longer texts are cut; the full answers are in the answers artifact."""
_MARKUP: Final = frozenset("\\`*_{}[]<>|&~")
"""What begins or ends markup within a line; hyphens, plus and number signs do only where a line begins."""


def render(template: Path, finalize: Callable[[Any], Any] | None = None, headline: str = "", **values: Any) -> str:
    """A page from its template; every value is escaped.

    Args:
        template: file that extends `page.html.jinja`; the functions below that write figures are filters in it.
        finalize: applied to every value before it is escaped.
        headline: a line above the title: project, sources, model; empty = none.
        values: names that the template uses.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, FOLDER]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
    )
    environment.filters |= {write.__name__: write for write in (percent, points, interval, pvalue, count, nats)}
    return environment.get_template(template.name).render(decision_slot=DECISION_SLOT, headline=headline, **values)


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


def shown(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The text cut to `limit` characters, with invisible characters spelt out (`⟨U+001B⟩`).

    Those are control, format, surrogate and private characters. Line breaks and tabs stay.

    That covers ANSI escapes (they begin with U+001B or U+009B) and bidirectional overrides (category Cf).
    """
    cut = text[:limit]
    safe = "".join(
        character if character in "\n\t" or unicodedata.category(character)[0] != "C" else f"⟨U+{ord(character):04X}⟩"
        for character in cut
    )
    return f"{safe}… ({len(text) - limit:,} more characters)" if len(text) > limit else safe


def shown_line(text: str, limit: int = 200) -> str:
    """The same on one line, for terminals and tables."""
    return " ".join(shown(text, limit).split())


def shown_markdown(text: str, limit: int = 200) -> str:
    """The same for Markdown: nothing in it is markup, a link, an image or the end of a table cell.

    Backslashes, which every renderer of CommonMark takes away again; Prefect's UI shows entities such as `&#45;` as
    they stand.
    """
    return "".join(f"\\{character}" if character in _MARKUP else character for character in shown_line(text, limit))
