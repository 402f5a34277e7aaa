"""Where a page and the code disagree: files that pages name and the snapshot does not have.

The article's model answered from stale wiki pages as if they were current. The only conflict that can be found
without a judge is a dangling path, so that is what is asked about; every such question has a twin about a file that
does exist.
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

KIND: Final = "exists"

_PATH = re.compile(r"[\w@.-]+(?:/[\w@.\[\]-]+)+\.\w{1,5}")
_SPAN = re.compile(r"`([^`\n]+)`|\]\(([^)\s]+)\)")


def mentioned_files(documents: Sequence[Document]) -> Iterator[tuple[Document, Fact, Fact]]:
    """(page, fact about a file that is gone, fact about a file that is there), for as many pairs as there are, in
    page order.

    Only source and Markdown paths with a folder count. A name that any document's path ends with is not gone: the
    page may write it relative to a folder. Files that the corpus filter dropped are unknown here, so their kinds are
    left out.
    """
    files = {document.path for document in documents if document.kind is Kind.FILE}
    names = {PurePosixPath(path).name for path in files}
    pages = [one for one in documents if one.kind is Kind.WIKI or (one.kind is Kind.FILE and is_markdown(one.path))]
    there = [(page, path, line) for page in pages for path, line in _paths(page) if path in files]
    gone = [
        (page, path, line) for page in pages for path, line in _paths(page) if PurePosixPath(path).name not in names
    ]
    for (page, path, line), (_, twin, twin_line) in zip(_once(gone), _once(there), strict=False):
        yield page, _fact(page, path, "no", line), _fact(page, twin, "yes", twin_line)


def yes_or_no(answer: str, references: Sequence[str]) -> float:
    """1 if the first `yes` or `no` of the answer is the reference's; an answer with neither scores 0."""
    found = re.search(r"\b(yes|no)\b", answer, re.IGNORECASE)
    return float(bool(found) and any(found[1].lower() == reference for reference in references if found))


def _fact(page: Document, path: str, answer: str, line: int) -> Fact:
    return made(page, Split.TRAIN, KIND, path, (answer,), (line, line))


def _paths(page: Document) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(page.text.split("\n"), 1):
        for match in _SPAN.findall(line):
            text = next(filter(None, match))
            if _PATH.fullmatch(text) and "://" not in text and (language_of(text) or is_markdown(text)):
                yield text.removeprefix("./"), number


def _once(found: Sequence[tuple[Document, str, int]]) -> list[tuple[Document, str, int]]:
    first: dict[str, tuple[Document, str, int]] = {}
    for entry in found:
        first.setdefault(entry[1], entry)
    return list(first.values())
