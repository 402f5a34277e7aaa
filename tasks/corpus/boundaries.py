"""Where a text may be cut, best places first: before a part of a pull request or a heading, before a function, class or
other block at the margin, before a member, at an empty line, at a line, at a space, anywhere.

Blocks of source are told by blank lines and indentation, only within the stretch where a cut is sought. That costs a
hundredth of a syntax tree, serves every language and data format, and agrees with it (`tests/benchmarks/chunking.py`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from tasks.base.records import Document, Kind
from tasks.corpus.render import Part
from tasks.text.languages import is_markdown
from tasks.text.markdown import headings

_BLOCK: Final = re.compile(r"\n(?:[ \t]*\r?|[)\]}][^\n]*)\n(?=([ \t]*)[^\s)\]}])")
"""The line break before a line that follows an empty one, or one that closes a block at the margin, and that closes
nothing itself.
"""


@dataclass(frozen=True)
class Boundaries:
    """Places of a text where a structure begins."""

    text: str
    offsets: tuple[int, ...]
    """Characters, ascending: parts of a rendering, headings."""
    ranks: tuple[int, ...]
    """0 is best."""
    is_indented: bool
    """Whether indentation shows what belongs together."""

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
        blocks = list(self._blocks(first, last)) if self.is_indented else []
        if blocks:
            member = min((indent for indent, _ in blocks if indent), default=0)
            return min(blocks, key=lambda block: (_depth(block[0], member), abs(block[1] - goal), block[1]))[1]
        for separator in ("\n\n", "\n", " "):
            below = self.text.rfind(separator, max(0, first - len(separator)), goal)
            above = self.text.find(separator, max(0, goal - len(separator)), last)
            cuts = [place + len(separator) for place in (below, above) if place >= 0]
            cuts = [cut for cut in cuts if first <= cut <= last]
            if cuts:
                return min(cuts, key=lambda cut: (abs(cut - goal), cut))
        return goal

    def _blocks(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """(characters of indentation, offset) of every line from `first` to `last` that begins a block."""
        place = max(0, self.text.rfind("\n", 0, max(0, first - 1)))
        while found := _BLOCK.search(self.text, place, last + 1):
            if first <= found.end() <= last:
                yield len(found[1]), found.end()
            place = found.end() - 1


def find_boundaries(document: Document, parts: list[Part]) -> Boundaries:
    """Structure of a rendered document; Markdown is parsed only here, that is for documents too long for one chunk."""
    text = "".join(part.text for part in parts)
    ends = list(accumulate(len(part.text) for part in parts))
    ranked = {start: part.rank for start, part in zip(ends, parts[1:], strict=False)}
    is_prose = document.is_page or is_markdown(document.path)
    if is_prose:
        body = len(text) - len(document.text)
        starts = [0, *accumulate(len(line) + 1 for line in document.text.split("\n"))]
        for heading in headings(document.text):
            offset = body + starts[heading.line - 1]
            ranked[offset] = min(heading.level, ranked.get(offset, heading.level))
    inner = sorted((offset, rank) for offset, rank in ranked.items() if 0 < offset < len(text))
    return Boundaries(
        text,
        tuple(offset for offset, _ in inner),
        tuple(rank for _, rank in inner),
        is_indented=document.kind is Kind.FILE and not is_prose,
    )


def _depth(indent: int, member: int) -> int:
    """0 at the margin, 1 for members, 2 for anything further in."""
    return 0 if indent == 0 else 1 if indent == member else 2
