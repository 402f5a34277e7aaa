"""Where a quote stands in a document, and what a document says besides its text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from tasks.base.records import Document, Kind
from tasks.synthesis.drafts import Draft, runs_of_lines

NOWHERE = (0, 0)
"""Span of a draft whose evidence is not in the document; curation rejects it."""


def source_text(document: Document) -> str:
    """Everything that answers about a document may rest on: its text and, of a pull request, title, files and threads.

    The text comes first, so that line numbers in it are the document's.
    """
    return document.text if document.kind is not Kind.PULL else _pull_text(_Same(document))


@dataclass(frozen=True)
class _Same:
    """A document by identity: comparing pull requests by content would take longer than joining their parts."""

    document: Document

    def __hash__(self) -> int:
        return id(self.document)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.document is other.document


@lru_cache(maxsize=16)
def _pull_text(pull: _Same) -> str:
    """Remembered, because every draft about a pull request is held against it."""
    document = pull.document
    return "\n".join([document.text, document.title, document.path, *_strings(document.meta)])


def _strings(value: object) -> list[str]:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _strings(item)]
    return []


def locate(text: str, quote: str) -> tuple[int, int]:
    """First and last line (1-based) of a quote in a text, white space aside; `NOWHERE` if it is not there."""
    words = quote.split()
    if not words:
        return NOWHERE
    start = text.find(quote)
    end = start + len(quote)
    if start < 0:
        found = re.search(r"\s+".join(map(re.escape, words)), text)
        if found is None:
            return NOWHERE
        start, end = found.span()
    first = text.count("\n", 0, start) + 1
    return first, first + text.count("\n", start, end)


def quoted(document: Document, question: str, answer: str, quote: str) -> Draft:
    """A model's draft; its span is where its quote stands."""
    return Draft(question.strip(), answer.strip(), locate(source_text(document), quote), (quote,))


def windows(text: str, limit: int) -> list[tuple[int, int, str]]:
    """(first line, last line, text) of the parts in which a text is shown to a model; lines over the limit are cut."""
    return [(first, last, part[:limit]) for first, last, part in runs_of_lines(text, limit) if part.strip()]
