"""Documents cut into passages along definitions and sections.

A definition, a section or a paragraph is whole where it fits, and no passage goes beyond a document. A passage is what
a search finds, what a model is shown and what an answer cites. The passages of a document do not overlap and join to
its text. Small neighbours stand together up to `TOGETHER` of a passage's length, so that a file of constants is not a
hundred passages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.base.records import NUMBERED, Document, Kind, Record
from tasks.text.languages import is_markdown
from tasks.text.markdown import sections
from tasks.text.structure import Definition, definitions

CHARACTERS_PER_TOKEN: Final = 3.6
"""Of code and Markdown in common tokenizers; passages need no exact count."""

TOGETHER: Final = 0.5
"""Neighbours stand in one passage up to this share of the longest."""

SYMBOLS: Final = 4
"""Names of definitions in a passage's heading; a longer list would outweigh the text."""


class Passage(Record):
    """Some lines of a document."""

    document_id: str
    kind: str
    repo: str
    revision: str
    path: str
    title: str
    url: str | None
    """Of the document."""
    span: tuple[int, int]
    """First and last line, 1-based; (0, 0) for what is told about a pull request beside its text."""
    date: str | None
    """When a pull request was merged or last changed, RFC 3339 with Z; null where it is not known, and of files."""
    symbols: tuple[str, ...]
    """Qualified names of what is defined here, or the titles down to the section."""
    body: str

    @property
    def heading(self) -> str:
        """What it is and where it stands."""
        name = f"{NUMBERED[self.kind]} {self.path}: {self.title}" if self.kind in NUMBERED else self.path
        lines = f", lines {self.span[0]} to {self.span[1]}" if self.span[0] else ""
        symbols = f" ({', '.join(self.symbols[:SYMBOLS])})" if self.symbols else ""
        return f"{name}{lines}{symbols}"

    @property
    def text(self) -> str:
        """Heading and body, as it is searched and shown."""
        return f"{self.heading}:\n{self.body}"


@dataclass(frozen=True)
class _Block:
    """Lines that belong together."""

    first: int
    last: int
    symbols: tuple[str, ...] = ()


def passages(documents: Iterable[Document], passage_tokens: int) -> Iterator[Passage]:
    """The passages of documents, in order, of at most about `passage_tokens`; a longer line is cut to twice as much."""
    limit = int(passage_tokens * CHARACTERS_PER_TOKEN)
    for document in documents:
        lines = document.text.split("\n")
        sizes = [0]
        for line in lines:
            sizes.append(sizes[-1] + len(line) + 1)
        for block in _together(_blocks(document, lines, sizes, limit), sizes, limit):
            yield _passage(document, "\n".join(lines[block.first - 1 : block.last]), block, limit)
        if document.kind == Kind.PULL:
            yield from _about_pull(document, limit)


def _blocks(document: Document, lines: Sequence[str], sizes: Sequence[int], limit: int) -> Iterator[_Block]:
    if document.is_page or is_markdown(document.path):
        for section in sections(document.text):
            whole = _Block(section.first_line, section.last_line, section.titles)
            yield from _fitting(whole, lines, sizes, limit)
        return
    found = definitions(document.path, document.text) if document.kind == Kind.FILE else []
    yield from _defined(_Block(1, len(lines)), found, lines, sizes, limit)


def _defined(
    around: _Block, found: Sequence[Definition], lines: Sequence[str], sizes: Sequence[int], limit: int
) -> Iterator[_Block]:
    """A stretch as its definitions, each with its comment, and what stands between them."""
    at = around.first
    for place, one in enumerate(found):
        first = max(one.outer_line, at)
        if one.first_line < at or one.last_line > around.last:
            continue  # a member of the one before, or on its line
        if first > at:
            yield from _fitting(_Block(at, first - 1, around.symbols), lines, sizes, limit)
        whole = _Block(first, one.last_line, (one.qualified,))
        if _size(whole, sizes) > limit:
            inside = [other for other in found[place + 1 :] if other.last_line <= one.last_line]
            yield from _defined(whole, inside, lines, sizes, limit) if inside else _fitting(whole, lines, sizes, limit)
        else:
            yield whole
        at = one.last_line + 1
    if at <= around.last:
        yield from _fitting(_Block(at, around.last, around.symbols), lines, sizes, limit)


def _fitting(block: _Block, lines: Sequence[str], sizes: Sequence[int], limit: int) -> Iterator[_Block]:
    """A block in pieces that fit; cut at its last empty line that leaves half a passage, else at any line."""
    first = block.first
    while _size(_Block(first, block.last), sizes) > limit and first < block.last:
        last = first
        while last < block.last and _size(_Block(first, last + 1), sizes) <= limit:
            last += 1
        empty = next((line for line in range(last, first, -1) if not lines[line - 1].strip()), first)
        if last < block.last and 2 * _size(_Block(first, empty), sizes) > limit:
            last = empty
        yield _Block(first, last, block.symbols)
        first = last + 1
    if first <= block.last:
        yield _Block(first, block.last, block.symbols)


def _together(blocks: Iterable[_Block], sizes: Sequence[int], limit: int) -> Iterator[_Block]:
    held: _Block | None = None
    for block in blocks:
        if held is None:
            held = block
        elif _size(_Block(held.first, block.last), sizes) <= TOGETHER * limit:
            held = _Block(held.first, block.last, tuple(dict.fromkeys((*held.symbols, *block.symbols))))
        else:
            yield held
            held = block
    if held is not None:
        yield held


def _size(block: _Block, sizes: Sequence[int]) -> int:
    return sizes[block.last] - sizes[block.first - 1]


def _about_pull(document: Document, limit: int) -> Iterator[Passage]:
    """What a pull request's other parts say: when it was merged, which files it changed, what was said about it."""
    meta = document.meta
    told = [f"Merged at: {meta['merged_at']}"] if meta.get("merged_at") else []
    told += [f"Changed: {file['path']} ({file['status']})" for file in meta.get("files") or ()]
    said = [*(meta.get("comments") or ()), *(meta.get("reviews") or ()), *(meta.get("review_comments") or ())]
    told += [str(one["body"]) for one in said if one.get("body")]
    lines = [line for one in told for line in one.split("\n")]
    sizes = [0]
    for line in lines:
        sizes.append(sizes[-1] + len(line) + 1)
    for block in _fitting(_Block(1, len(lines)), lines, sizes, limit):
        body = "\n".join(lines[block.first - 1 : block.last])
        yield _passage(document, body, _Block(0, 0), limit)


def _passage(document: Document, body: str, block: _Block, limit: int) -> Passage:
    return Passage(
        document_id=document.id,
        kind=document.kind,
        repo=document.repo,
        revision=document.revision,
        path=document.path,
        title=document.title,
        url=document.url,
        span=(block.first, block.last),
        date=document.meta.get("merged_at") or document.updated_at or document.created_at,
        symbols=block.symbols,
        body=body[: 2 * limit],
    )
