"""Pages: wiki documents or, for a repository without any, its Markdown files; read as sections, sentences, lists,
code blocks and links.

Everything here is pure and keeps line numbers (1-based, inclusive), so that whatever is said about a page can be
traced to its lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.base.records import Document, Kind
from tasks.text.markdown import headings

MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown")

_UNDERLINE = re.compile(r"^ {0,3}(?:=+|-+)[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(\S.*)$")
_LINK = re.compile(r"(?<!!)\[([^\[\]]+)\]\((https?://[^\s()]+)\)")
_MARKUP = re.compile(r"(?<!\w)([*_]{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"(\[])")


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it before the next heading of any level."""

    title: str
    """Empty for what stands before the first heading."""
    level: int
    first: int
    last: int
    body: str
    """Text below the heading, blank lines at both ends cut off."""
    body_first: int
    """Line on which `body` begins."""


@dataclass(frozen=True)
class Piece:
    """A part of a section with its lines."""

    text: str
    first: int
    last: int
    label: str = ""
    """A link's text, or a code block's language."""


def label(document: Document) -> str:
    """How a question names the page: the path of a file, the title of a wiki page."""
    return f"`{document.path}`" if document.kind is Kind.FILE else f"“{document.title or document.path}”"


def sections(text: str) -> list[Section]:
    """The page's sections in order; fenced code never opens one."""
    lines = text.split("\n")
    heads = [(found.line, found.level, plain(found.title)) for found in headings(text)]
    starts = [(1, 0, ""), *heads] if not heads or heads[0][0] > 1 else heads
    ends = [start - 1 for start, _, _ in starts[1:]] + [len(lines)]
    return [_section(lines, start, level, title, end) for (start, level, title), end in zip(starts, ends, strict=True)]


def _section(lines: list[str], start: int, level: int, title: str, end: int) -> Section:
    first, last = (start + 1 if level else start), end
    if level and first <= last and _UNDERLINE.match(lines[first - 1]) and not lines[start - 1].lstrip().startswith("#"):
        first += 1
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    return Section(title, level, start, max(last, start), "\n".join(lines[first - 1 : last]), first)


def code_blocks(section: Section) -> list[Piece]:
    """Fenced code blocks: the code without its fences, labelled with the language; an unclosed fence makes none."""
    found: list[Piece] = []
    opened: tuple[str, str, int] | None = None
    lines = section.body.split("\n")
    for offset, line in enumerate(lines):
        mark = _FENCE.match(line)
        if opened is None:
            opened = (mark[1], mark[2], offset) if mark else None
        elif mark and mark[1].startswith(opened[0]) and not mark[2]:
            code = "\n".join(lines[opened[2] + 1 : offset])
            if code.strip():
                found.append(Piece(code, section.body_first + opened[2], section.body_first + offset, opened[1]))
            opened = None
    return found


def prose(section: Section) -> list[Piece]:
    """Paragraphs of plain prose, each as one line of text; code, lists, tables, quotes and HTML are left out."""
    found: list[Piece] = []
    block: list[str] = []
    inside = ""
    for offset, line in enumerate([*section.body.split("\n"), ""]):
        mark = _FENCE.match(line)
        if mark:
            inside = "" if inside and mark[1].startswith(inside) else inside or mark[1]
        if line.strip() and not mark and not inside:
            block.append(line)
            continue
        if block and not _is_markup(block):
            first = section.body_first + offset - len(block)
            found.append(Piece(" ".join(part.strip() for part in block), first, first + len(block) - 1))
        block = []
    return found


def _is_markup(block: list[str]) -> bool:
    return any(
        _ITEM.match(line) or line.startswith(("    ", "\t")) or line.lstrip().startswith(("|", ">", "<", "![", "[!"))
        for line in block
    )


def sentences(paragraph: Piece) -> list[Piece]:
    """The sentences of a paragraph; each keeps the paragraph's lines."""
    return [Piece(text, paragraph.first, paragraph.last) for text in _SENTENCE.split(paragraph.text) if text.strip()]


_BLOCK = re.compile(r"\s{0,3}(?:#{1,6}\s|[>|<]|!!!|:::|[-=*_]{3})")
"""What begins something else, so that it does not go on with the item above it (CommonMark's lazy continuation)."""


def list_items(section: Section) -> list[Piece]:
    """Items of the section's lists outside code, each with the lines that continue it, indented or not."""
    inside = ""
    found: list[Piece] = []
    indent = -1
    for offset, line in enumerate(section.body.split("\n")):
        mark = _FENCE.match(line)
        number = section.body_first + offset
        if mark:
            inside = "" if inside and mark[1].startswith(inside) else inside or mark[1]
            indent = -1
        elif inside:
            continue
        elif item := _ITEM.match(line):
            found.append(Piece(item[1].strip(), number, number))
            indent = len(line) - len(line.lstrip())
        elif not line.strip():
            indent = -1
        elif indent >= 0 and (len(line) - len(line.lstrip()) > indent or not _BLOCK.match(line)):
            last = found[-1]
            found[-1] = Piece(f"{last.text} {line.strip()}", last.first, number)
        else:
            indent = -1
    return found


def links(section: Section) -> list[Piece]:
    """Links to the web outside code: `text` is the address, `label` the link's text."""
    code = {line for block in code_blocks(section) for line in range(block.first, block.last + 1)}
    return [
        Piece(match[2], number, number, plain(match[1]))
        for number, line in enumerate(section.body.split("\n"), section.body_first)
        if number not in code
        for match in _LINK.finditer(line)
    ]


def plain(text: str) -> str:
    """Inline Markdown without emphasis and link targets."""
    return _MARKUP.sub(r"\2", re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", text)).strip()
