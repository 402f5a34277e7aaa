"""Checkable facts of documents, from syntax trees, headings and pull requests; no model is asked.

A fact names something (`name`), what is asked about it (`kind`), the right answers and the lines they rest on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

from tasks.base.records import Document, Kind
from tasks.evaluation.questions import CODE_LINES
from tasks.text.languages import is_markdown, language_of
from tasks.text.markdown import sections
from tasks.text.signatures import parameters
from tasks.text.structure import Definition, definitions

MIN_NAME_CHARACTERS: Final = 4
"""Shorter names (`i`, `run`) are nobody's question."""

MAX_ANSWER_CHARACTERS: Final = 300
"""A longer reference would not fit a short answer."""

CALLABLE: Final = frozenset({"function", "method"})
COMMON: Final = frozenset(
    {"constructor", "default", "handler", "index", "init", "main", "props", "render", "setup", "test", "toString"}
)


@dataclass(frozen=True, eq=False)
class Fact:
    """One thing that a document says and that can be asked and checked."""

    kind: str
    name: str
    answers: tuple[str, ...]
    span: tuple[int, int]
    words: dict[str, str] = field(default_factory=dict)
    """What the question needs besides the name."""


def document_facts(document: Document) -> Iterator[Fact]:
    """Facts of one document, in the order of its lines."""
    if document.kind is Kind.PULL:
        yield from _pull_facts(document)
        return
    if document.kind is Kind.WIKI or is_markdown(document.path):
        yield from _page_facts(document)
    elif language_of(document.path):
        yield from _code_facts(document)


def askable(documents: Iterable[Document]) -> list[tuple[Document, Fact]]:
    """Facts that can be asked, in document order: those whose name has one answer in all documents of the repository.

    A file may be named by its base name alone where no other file has it; raw text in the article's format has no more.
    """
    pairs = [(document, fact) for document in documents for fact in document_facts(document)]
    seen = Counter((fact.kind, document.repo, fact.name.casefold()) for document, fact in pairs)
    files = {(document.repo, document.path) for document, _ in pairs}
    bases = Counter((repo, PurePosixPath(path).name) for repo, path in files)
    return [
        (document, _with_base_name(document, fact, bases))
        for document, fact in pairs
        if seen[fact.kind, document.repo, fact.name.casefold()] == 1
    ]


def _with_base_name(document: Document, fact: Fact, bases: Counter[tuple[str, str]]) -> Fact:
    base = PurePosixPath(document.path).name
    if fact.kind not in ("location", "heading") or bases[document.repo, base] > 1 or base in fact.answers:
        return fact
    return replace(fact, answers=(*fact.answers, base))


def _code_facts(document: Document) -> Iterator[Fact]:
    lines = document.text.split("\n")
    found = definitions(document.path, document.text)
    for one in found:
        if len(one.name) < MIN_NAME_CHARACTERS or one.name.startswith("__") or one.name in COMMON:
            continue
        name, span = one.qualified, (one.first_line, one.last_line)
        if one.kind != "constant":
            yield Fact("location", name, (document.path,), (one.first_line, one.first_line))
        if one.kind in CALLABLE:
            names = parameters(one.signature, one.name, language_of(document.path) or "")
            if len(names) > 1:  # one or no parameter is guessed too easily
                yield Fact("arguments", name, (", ".join(names),), (one.first_line, one.first_line))
        purpose = first_sentence(one.docstring)
        if purpose:
            yield Fact("purpose", name, (purpose,), (one.outer_line, one.last_line))
        yield from _continuation(one, name, lines, span)
    opening = lines[: 2 * CODE_LINES]
    if len(lines) > 2 * CODE_LINES and len("".join(opening)) > 80:
        yield Fact("opening", document.path, ("\n".join(opening),), (1, len(opening)), {"lines": str(len(opening))})


def _continuation(one: Definition, name: str, lines: list[str], span: tuple[int, int]) -> Iterator[Fact]:
    """The lines after a definition's first two, if it is long enough to have them."""
    if one.kind not in CALLABLE or one.last_line - one.first_line < CODE_LINES + 2:
        return
    start, following = (
        lines[one.first_line - 1 : one.first_line + 1],
        lines[one.first_line + 1 : one.first_line + 1 + CODE_LINES],
    )
    if len("".join(following).strip()) > 40:
        yield Fact("code", name, ("\n".join(following),), span, {"start": "\n".join(start), "lines": str(CODE_LINES)})


def _page_facts(document: Document) -> Iterator[Fact]:
    for section in sections(document.text):
        title = re.sub(r"[`*_]", "", section.titles[-1]) if section.titles else ""
        if len(section.titles) > 1 and MIN_NAME_CHARACTERS <= len(title) <= 80:
            aliases = tuple(dict.fromkeys((document.path, document.title)))
            yield Fact("heading", title, aliases, (section.first_line, section.first_line))


def _pull_facts(document: Document) -> Iterator[Fact]:
    words = {"number": document.path}
    end = document.text.count("\n") + 1
    reason = first_sentence(document.text)
    if reason and reason.casefold() != document.title.casefold():
        yield Fact("pull-why", document.title, (reason,), (1, end), words)
    paths = [str(file["path"]) for file in document.meta.get("files", [])]
    if 0 < len(paths) <= 5:
        yield Fact("pull-file", document.title, tuple(paths), (1, end), words)


def first_sentence(text: str) -> str:
    """The first sentence of the first paragraph, white space collapsed; empty if it says too little or is too long
    for an answer.
    """
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z`\"'(])", paragraph)[0]
    plain = re.sub(r"\s*(?:@\w+|:param|:return|Args:).*", "", sentence)
    return plain if len(plain.split()) >= 4 and len(plain) <= MAX_ANSWER_CHARACTERS else ""
