"""BM25 over passages, in memory and in a folder.

Identifiers are what finds code. A query made of a whole question finds the passage in 3% of the cases, one made of its
identifier in 78% (datasette, 2026-11-24): filler words are rare in code, so BM25 takes them for the point. Therefore a
question with identifiers is asked by them alone, the whole identifier weighing `WHOLE` times as much as one of its
parts.

A folder holds what bm25s writes (arrays, vocabulary, settings, passages as JSON lines with their offsets), without
pickles and the same bytes for the same passages; opened, arrays and passages are mapped and not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.retrieval.passages import Passage

WHOLE: Final = 3.0
"""Weight of a whole identifier against one of its parts."""

MAX_QUERY_TOKENS: Final = 200
"""Different tokens of a question that are looked up, the first ones: editors put whole files into a question."""

_NAMED: Final = re.compile(r"`([^`\n]+)`|“([^”\n]+)”")
_TOKEN: Final = re.compile(r"[A-Za-z_][\w]*|\d+")
_CODE_LIKE: Final = re.compile(r"(?<!\w)\w*(?:_\w|[a-z][A-Z]|\w\.\w|/\w)[\w./-]*|#?\d+")
_PART: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_STOP: Final = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by do does for from how i if in is it its name of on one only or path reply say "
        "sentence state that the them then there they this to what when where which who why with you",
    )
)


class Index:
    """Passages and what finds them (Lucene's BM25, bm25s). Equal scores: the earlier passage wins."""

    def __init__(self, bm25: Any, found: Sequence[Any]) -> None:
        self._bm25 = bm25
        self._rows = found

    @classmethod
    def of(cls, found: Iterable[Passage]) -> Index:
        """The index of passages, in memory."""
        import bm25s

        rows = list(found)
        corpus = [list(words(passage.text)) for passage in rows]
        # bm25s numbers its own vocabulary in the order of a set, another in every process
        vocabulary = {
            token: number for number, token in enumerate(sorted({one for tokens in corpus for one in tokens}))
        }
        bm25 = bm25s.BM25(backend="numpy")
        bm25.index(([[vocabulary[one] for one in tokens] for tokens in corpus], vocabulary), show_progress=False)
        return cls(bm25, rows)

    @classmethod
    def open(cls, folder: Path) -> Index:
        """The index that `save` wrote; nothing but the vocabulary is read until it is searched."""
        import bm25s

        bm25 = bm25s.BM25.load(folder, mmap=True, load_corpus=True, show_progress=False)
        return cls(bm25, bm25.corpus)

    def save(self, folder: Path) -> None:
        """Writes the index with its passages."""
        rows = [passage.model_dump(mode="json") for passage in self._rows]
        self._bm25.save(folder, corpus=rows, show_progress=False, raise_on_serialization_error=True)

    def __len__(self) -> int:
        return len(self._rows)

    def passage(self, number: int) -> Passage:
        """One passage by its place."""
        row = self._rows[number]
        return row if isinstance(row, Passage) else Passage.model_validate(row)

    def __iter__(self) -> Iterator[Passage]:
        return (self.passage(number) for number in range(len(self)))

    def search(self, question: str, number: int) -> list[Passage]:
        """The `number` best passages for a question, best first; fewer if fewer have anything of it."""
        weights: dict[str, float] = {}
        for token, weight in query(question):
            if token in self._bm25.vocab_dict and (token in weights or len(weights) < MAX_QUERY_TOKENS):
                weights[token] = weights.get(token, 0.0) + weight
        scores = np.zeros(len(self._rows))
        for token, weight in weights.items():
            scores += weight * self._bm25.get_scores([token])
        order = np.lexsort((np.arange(len(scores)), -scores))[:number]
        return [self.passage(int(place)) for place in order if scores[place] > 0]


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


def words(text: str) -> Iterator[str]:
    """Every identifier whole and in parts, lower case."""
    for token in _TOKEN.findall(text):
        yield token.lower()
        parts = _PART.findall(token)
        if len(parts) > 1:
            yield from (part.lower() for part in parts)
