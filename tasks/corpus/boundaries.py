"""Where a text may be cut, best places first: before a function or heading, before a member, at an empty line, at a
line, at a space, anywhere.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from tasks.base.records import Document, Kind
from tasks.corpus.render import Part
from tasks.text.languages import is_markdown
from tasks.text.markdown import headings
from tasks.text.structure import definitions

STRUCTURE_RANKS: Final = 8
"""Ranks below this come from parts, definitions and headings; then empty lines, lines, spaces, any character."""


@dataclass(frozen=True)
class Boundaries:
    """Places of a text where a structure begins."""

    text: str
    offsets: tuple[int, ...]
    """Characters, ascending."""
    ranks: tuple[int, ...]
    """0 is best."""

    def best(self, first: int, goal: int, last: int) -> int:
        """The best cut from `first` to `last`: lowest rank, then nearest to `goal`. Never within a character, always
        above `first` - 1.

        Args:
            first: earliest offset allowed, at least 1.
            goal: offset wished for.
            last: latest offset allowed, below the text's length.
        """
        inside = range(bisect_left(self.offsets, first), bisect_right(self.offsets, last))
        found = min(inside, key=lambda number: (self.ranks[number], abs(self.offsets[number] - goal)), default=None)
        if found is not None:
            return self.offsets[found]
        for separator in ("\n\n", "\n", " "):
            below = self.text.rfind(separator, max(0, first - len(separator)), goal)
            above = self.text.find(separator, max(0, goal - len(separator)), last)
            cuts = [place + len(separator) for place in (below, above) if place >= 0]
            cuts = [cut for cut in cuts if first <= cut <= last]
            if cuts:
                return min(cuts, key=lambda cut: (abs(cut - goal), cut))
        return goal


def find_boundaries(document: Document, parts: list[Part]) -> Boundaries:
    """Structure of a rendered document; its body is parsed only here, that is for documents too long for one chunk."""
    text = "".join(part.text for part in parts)
    ends = list(accumulate(len(part.text) for part in parts))
    ranked = {start: part.rank for start, part in zip(ends, parts[1:], strict=False)}
    if document.kind is not Kind.PULL:
        body = len(text) - len(document.text)
        starts = [0, *accumulate(len(line) + 1 for line in document.text.split("\n"))]
        for line, rank in _structure(document):
            offset = body + starts[line - 1]
            ranked[offset] = min(rank, ranked.get(offset, rank))
    inner = sorted((offset, rank) for offset, rank in ranked.items() if 0 < offset < len(text))
    return Boundaries(text, tuple(offset for offset, _ in inner), tuple(rank for _, rank in inner))


def _structure(document: Document) -> list[tuple[int, int]]:
    """(line, rank) of definitions by depth, or of headings by level."""
    if document.kind is Kind.WIKI or is_markdown(document.path):
        return [(heading.line, heading.level) for heading in headings(document.text)]
    return [
        (found.outer_line, min(found.qualified.count("."), STRUCTURE_RANKS - 1))
        for found in definitions(document.path, document.text)
    ]
