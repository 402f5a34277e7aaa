"""Headings, sections, links and code names of Markdown pages. Line-based: wiki pages are rarely valid in any dialect,
and every line must be accounted for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ATX: Final = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_SETEXT: Final = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


@dataclass(frozen=True)
class Heading:
    """One heading."""

    level: int
    title: str
    line: int
    """1-based."""


@dataclass(frozen=True)
class Section:
    """A heading with the text down to the next heading of any level."""

    titles: tuple[str, ...]
    """Titles from the outermost heading to this one; empty for the text before the first heading."""
    first_line: int
    last_line: int
    text: str


def headings(text: str) -> list[Heading]:
    """Headings in order; those inside fenced code are not headings."""
    found: list[Heading] = []
    fence = ""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        opening = _FENCE.match(line)
        if opening:
            mark = opening.group(1)
            if not fence:
                fence = mark
            elif mark[0] == fence[0] and len(mark) >= len(fence):
                fence = ""
            continue
        if fence:
            continue
        heading = _ATX.match(line)
        if heading:
            title = heading.group(2).rstrip(" \t").rstrip("#").rstrip(" \t")
            found.append(Heading(len(heading.group(1)), title, number))
            continue
        previous = lines[number - 2].strip() if number > 1 else ""
        if _SETEXT.match(line) and previous and not previous.startswith(("#", ">", "-", "*", "|")):
            found.append(Heading(1 if line.strip()[0] == "=" else 2, previous, number - 1))
    return found


def sections(text: str) -> list[Section]:
    """Sections in order; their texts, joined by line breaks, are the page."""
    lines = text.split("\n")
    marks = headings(text)
    starts = sorted({1, *(mark.line for mark in marks)})
    by_line = {mark.line: mark for mark in marks}
    path: list[Heading] = []
    found = []
    for start, following in zip(starts, [*starts[1:], len(lines) + 1], strict=True):
        mark = by_line.get(start)
        if mark is not None:
            path = [*(outer for outer in path if outer.level < mark.level), mark]
        titles = tuple(outer.title for outer in path)
        found.append(Section(titles, start, following - 1, "\n".join(lines[start - 1 : following - 1])))
    return found


def split_code(text: str) -> tuple[list[str], str]:
    """(what each fence holds, the page with a blank line for each); a fence that is not closed runs to the end."""
    fenced: list[str] = []
    prose: list[str] = []
    inside: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if not fence and not mark:
            prose.append(line)
        elif not fence and mark:
            fence = mark[1]
            prose.append("")
        elif mark and mark[1].startswith(fence):
            fenced.append("\n".join(inside))
            inside, fence = [], ""
        else:
            inside.append(line)
    return ([*fenced, "\n".join(inside)] if fence else fenced), "\n".join(prose)
