"""Passages for the arms that may look something up: BM25 over all documents, and the right passage itself.

Identifiers are what finds code. A query made of a whole question finds the passage in 3% of the cases, one made of its
identifier in 78% (datasette, 2026-11-24): filler words are rare in code, so BM25 takes them for the point. Therefore a
question with identifiers is asked by them alone, the whole identifier weighing `WHOLE` times as much as one of its
parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tasks.base.records import Document, Item

CHARACTERS_PER_TOKEN: Final = 3.6
"""Of code and Markdown in common tokenizers; passages need no exact count."""

WHOLE: Final = 3.0
"""Weight of a whole identifier against one of its parts."""

_NAMED = re.compile(r"`([^`\n]+)`|“([^”\n]+)”")
_TOKEN = re.compile(r"[A-Za-z_][\w]*|\d+")
_CODE_LIKE = re.compile(r"(?<!\w)\w*(?:_\w|[a-z][A-Z]|\w\.\w|/\w)[\w./-]*|#?\d+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "do",
        "does",
        "for",
        "from",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "name",
        "of",
        "on",
        "one",
        "only",
        "or",
        "path",
        "reply",
        "say",
        "sentence",
        "state",
        "that",
        "the",
        "them",
        "then",
        "there",
        "they",
        "this",
        "to",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "with",
        "you",
    ]
)


@dataclass(frozen=True)
class Passage:
    """Some lines of a document."""

    document_id: str
    span: tuple[int, int]
    text: str
    """Begins with a line that names the document."""


def passages(documents: Iterable[Document], passage_tokens: int) -> Iterator[Passage]:
    """Documents cut into runs of whole lines of about `passage_tokens`, in order; a longer line is a passage of its
    own.
    """
    limit = int(passage_tokens * CHARACTERS_PER_TOKEN)
    for document in documents:
        lines = document.text.split("\n")
        first, size = 1, 0
        for number, line in enumerate(lines, 1):
            if size and size + len(line) > limit:
                yield _passage(document, lines, first, number - 1, limit)
                first, size = number, 0
            size += len(line) + 1
        yield _passage(document, lines, first, len(lines), limit)


class Index:
    """BM25 (Lucene's variant, bm25s) over passages. Equal scores: the earlier passage wins."""

    def __init__(self, found: Sequence[Passage]) -> None:
        import bm25s

        self.passages = found
        self._bm25: Any = bm25s.BM25()
        corpus = [list(_indexed(passage.text)) for passage in found]
        self._bm25.index(corpus, show_progress=False)
        self._known = {token for tokens in corpus for token in tokens}

    def search(self, question: str, number: int) -> list[Passage]:
        """The `number` best passages for a question, best first; fewer if fewer have anything of it."""
        scores = np.zeros(len(self.passages))
        for token, weight in query(question):
            if token in self._known:
                scores += weight * self._bm25.get_scores([token])
        order = np.lexsort((np.arange(len(scores)), -scores))[:number]
        return [self.passages[index] for index in order if scores[index] > 0]


def query(question: str) -> list[tuple[str, float]]:
    """(token, weight) of a question: its identifiers whole and in parts, or without any its words that are no stop
    words.
    """
    named = [next(filter(None, match)) for match in _NAMED.findall(question)]
    code = [*named, *_CODE_LIKE.findall(_NAMED.sub(" ", question))]
    if not code:
        return [(token, 1.0) for token in map(str.lower, _TOKEN.findall(question)) if token not in _STOP]
    weighted: list[tuple[str, float]] = []
    for name in code:
        for token in _TOKEN.findall(name):
            weighted.append((token.lower(), WHOLE))
            weighted += [(part.lower(), 1.0) for part in _PART.findall(token) if part.lower() != token.lower()]
    return weighted


def oracle(item: Item, by_document: dict[str, list[Passage]]) -> list[Passage]:
    """The passages that hold the first line of what the item's answer rests on: one, as passages do not overlap."""
    return [one for one in by_document.get(item.document_id, []) if one.span[0] <= item.span[0] <= one.span[1]]


def _passage(document: Document, lines: list[str], first: int, last: int, limit: int) -> Passage:
    body = "\n".join(lines[first - 1 : last])[: 2 * limit]
    return Passage(document.id, (first, last), f"{document.path}, lines {first} to {last}:\n{body}")


def _indexed(text: str) -> Iterator[str]:
    """Every identifier whole and in parts, lower case."""
    for token in _TOKEN.findall(text):
        yield token.lower()
        parts = _PART.findall(token)
        if len(parts) > 1:
            yield from (part.lower() for part in parts)
