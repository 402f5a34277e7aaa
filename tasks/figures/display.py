"""Text that a model wrote, made safe to look at.

A model can write anything: markup, terminal escapes, text that runs backwards, a hundred kilobytes of one letter.
HTML is escaped by the template engine; here everything invisible is made visible and everything endless is cut.
"""

from __future__ import annotations

import unicodedata
from typing import Final

SHOWN_CHARACTERS: Final = 1_200
"""Longer texts are cut; the full answers are in the answers artifact."""

_MARKUP: Final = frozenset("\\`*_{}[]<>|&~")
"""What begins or ends markup within a line; hyphens, plus and number signs do only where a line begins."""


def shown(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The text with control, format, surrogate and private characters spelt out (`⟨U+001B⟩`), cut to `limit`
    characters. Line breaks and tabs stay.

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
