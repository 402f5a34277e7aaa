"""Where a page and the code disagree: files and names that pages have and the snapshot does not.

The article's model answered from stale wiki pages as if they were current. The only conflict that can be found
without a judge is a name that leads nowhere, so that is what is asked about; every such question has a twin about a
file or a name that is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

from tasks.base.records import Document, Kind, Split
from tasks.evaluation.facts import made
from tasks.text.facts import Fact
from tasks.text.languages import is_markdown, language_of
from tasks.text.structure import definitions

FILE: Final = "exists"
NAME: Final = "exists-name"

_FILE_PATH = re.compile(r"[\w@.-]+(?:/[\w@.\[\]-]+)+\.\w{1,5}")
_WORDS = re.compile(r"[^\W\d]\w*")
_SEVERAL_WORDS = re.compile(
    r"(?=.{6})(?:[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|[a-z][a-z0-9]*(?:[A-Z][a-z0-9]+)+|_?[a-z0-9]+(?:_[a-z0-9]+)+)"
)
"""An identifier of several words, in one of the three usual spellings."""
_SPAN = re.compile(r"`([^`\n]+)`|\]\(([^()\s]+)\)")


def mentioned_files(documents: Sequence[Document]) -> Iterator[tuple[Document, Fact, Fact]]:
    """(page, fact about a file that is gone, fact about a file that is there), for as many pairs as there are, in
    page order.

    Only source and Markdown paths with a folder count. A name that any document's path ends with is not gone: the
    page may write it relative to a folder. Files that the corpus filter dropped are unknown here, so their kinds are
    left out.
    """
    files = {document.path for document in documents if document.kind is Kind.FILE}
    names = {PurePosixPath(path).name for path in files}
    pages = [one for one in documents if _is_page(one)]
    there = [(page, path, line) for page in pages for path, line in _paths(page) if path in files]
    gone = [
        (page, path, line) for page in pages for path, line in _paths(page) if PurePosixPath(path).name not in names
    ]
    for (page, path, line), (_, twin, twin_line) in zip(_once(gone), _once(there), strict=False):
        yield page, _fact(page, path, "no", line, FILE), _fact(page, twin, "yes", twin_line, FILE)


def mentioned_names(documents: Sequence[Document]) -> Iterator[tuple[Document, Fact, Fact]]:
    """(page, fact about a name that is gone, fact about a name that is there), as `mentioned_files` has files.

    Names are identifiers of several words in code spans. One that occurs anywhere outside the pages is not gone; one
    is there if the snapshot's code defines it.
    """
    pages = [one for one in documents if _is_page(one)]
    found = [(page, name, line) for page in pages for name, line in _names(page)]
    if not found:
        return
    code = [one for one in documents if one.kind is Kind.FILE and not _is_page(one)]
    known = {word for one in code for word in _WORDS.findall(f"{one.path} {one.text}")}
    defined = {one.name for document in code for one in definitions(document.path, document.text)}
    there = [entry for entry in found if entry[1] in defined]
    gone = [entry for entry in found if entry[1] not in known]
    for (page, name, line), (_, twin, twin_line) in zip(_once(gone), _once(there), strict=False):
        yield page, _fact(page, name, "no", line, NAME), _fact(page, twin, "yes", twin_line, NAME)


def yes_or_no(answer: str, references: Sequence[str]) -> float:
    """1 if the first `yes` or `no` of the answer is the reference's; an answer with neither scores 0."""
    found = re.search(r"\b(yes|no)\b", answer, re.IGNORECASE)
    return float(bool(found) and any(found[1].lower() == reference for reference in references if found))


def _fact(page: Document, subject: str, answer: str, line: int, kind: str) -> Fact:
    return made(page, Split.TRAIN, kind, subject, (answer,), (line, line))


def _is_page(document: Document) -> bool:
    return document.kind is Kind.WIKI or (document.kind is Kind.FILE and is_markdown(document.path))


def _names(page: Document) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(page.text.split("\n"), 1):
        for span, _ in _SPAN.findall(line):
            name = span.removesuffix("()")
            if _SEVERAL_WORDS.fullmatch(name):
                yield name, number


def _paths(page: Document) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(page.text.split("\n"), 1):
        for match in _SPAN.findall(line):
            text = next(filter(None, match))
            if _FILE_PATH.fullmatch(text) and "://" not in text and (language_of(text) or is_markdown(text)):
                yield text.removeprefix("./"), number


def _once(found: Sequence[tuple[Document, str, int]]) -> list[tuple[Document, str, int]]:
    first: dict[str, tuple[Document, str, int]] = {}
    for entry in found:
        first.setdefault(entry[1], entry)
    return list(first.values())
