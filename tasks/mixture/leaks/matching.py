"""Whether a training text holds a question together with its answer.

Texts are compared as words: case, spacing, punctuation and markup do not count. The questions are few and lie in an
index in memory; the training texts stream past it, so memory does not depend on them. A question is found in a text
when

- `exact`: all its words stand there one after the other;
- `13-gram`: 13 of its words do (the length by which GPT-3 and lm-evaluation-harness decontaminate), or `8-gram`: at
  least `overlap` of its 8-grams do (PaLM's length); in both cases with at least `overlap` of its other words, because a
  question may quote a title from the text that answers it;
- `near-copy`: some passage of its length has a Jaccard index of word 3-grams of at least `jaccard` with it. MinHash
  estimates this number for whole texts; here it is computed, for the passage, because the index leaves few to compare
  (`tests/benchmarks/leaks.py`).

It leaked when its answer stands in the same text: an answer alone is no leak, since recall expects it to be trained.
Grams that questions about several documents share are template wording and prove nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import Item

WORD: Final = re.compile(r"[^\W_]+")
"""Unlike `tasks.text.ngrams` this splits at underscores, which are Markdown's emphasis."""
SHINGLE_WORDS: Final = 3
NUMBERS: Final = 1 << 20
"""Of words. Few questions have 5,000 different words, so of the other words one in 200 is taken for one of them."""
SHARED_DOCUMENTS: Final = 3
"""A gram in questions about more documents than this is template wording."""
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)

Gram = tuple[str, ...]


class _Candidate(NamedTuple):
    """A text that may hold a question."""

    text: int
    item: int
    place: int
    """Word of the text near which most of the question's telling shingles are."""
    shingles: int
    """How often one of them stands in the text."""


@dataclass(frozen=True)
class Match:
    """A question found in a text."""

    item: int
    """Number of the item in the index."""
    rule: str
    """`exact`, `13-gram`, `8-gram` or `near-copy`."""
    score: float
    """Part of the question's 8-grams that was found, or Jaccard index of a near copy; 1 for `exact` and `13-gram`."""
    start: int
    """First word of the passage, counted in the text's words."""
    end: int
    """Word after the passage."""


def fold(text: str) -> str:
    """Compatibility form and lower case."""
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> list[str]:
    """The words of a text, folded, in order."""
    return WORD.findall(fold(text))


class WordNumbers(dict[str, int]):
    """A number below `NUMBERS` for every word, the same on every machine.

    Words that share one only make the guard compare more passages, word by word.
    """

    def __missing__(self, word: str) -> int:
        self[word] = number = crc32(word.encode("utf-8", "surrogatepass")) % NUMBERS
        return number

    def of(self, text: str) -> NDArray[np.uint32]:
        """Those of a text's words, in order."""
        found = words(text)
        return np.fromiter(map(self.__getitem__, found), np.uint32, len(found))


@dataclass(frozen=True)
class Texts:
    """Texts to be looked through together, because each call costs more than a short text."""

    words: NDArray[np.uint32]
    """`WordNumbers` of all, one text after the other."""
    lengths: NDArray[np.int64]
    """Words of each."""
    text: Callable[[int], str]
    """The text of that number; asked only of those that may hold a question."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Of texts in memory."""
        numbers = WordNumbers()
        found = [numbers.of(text) for text in texts]
        lengths = np.asarray([len(one) for one in found], np.int64)
        return cls(np.concatenate([np.zeros(0, np.uint32), *found]), lengths, texts.__getitem__)


class QuestionIndex:
    """The questions of an evaluation, to be looked for in texts."""

    def __init__(self, items: Sequence[Item], overlap: float, jaccard: float) -> None:
        self.overlap, self.jaccard = overlap, jaccard
        self._questions = [words(item.question) for item in items]
        # nobody can answer an unanswerable question, so the question alone is what could have leaked
        answers = [item.answers if item.answerable else () for item in items]
        self._answers = [[answer_words for answer in known if (answer_words := words(answer))] for known in answers]
        self._vocabulary: dict[str, int] = {}
        self._asked: NDArray[np.uint32] = np.zeros(NUMBERS, np.uint32)
        numbers = WordNumbers()
        for word in chain.from_iterable(self._questions):
            number = numbers[word]
            self._asked[number] = self._asked[number] or len(self._vocabulary) + 1
            self._vocabulary[word] = int(self._asked[number])
        documents: dict[Gram, set[str]] = {}
        for item, question in zip(items, self._questions, strict=True):
            for gram in chain.from_iterable(_grams(question, size) for size in (SHINGLE_WORDS, 8, 13)):
                documents.setdefault(gram, set()).add(item.document_id)
        self._template = {gram for gram, where in documents.items() if len(where) > SHARED_DOCUMENTS}
        self._shingles = [self._telling(question, SHINGLE_WORDS) for question in self._questions]
        pairs = sorted(
            (self._hash(gram), number) for number, shingles in enumerate(self._shingles) for gram in shingles
        )
        self._hashes: NDArray[np.uint64] = np.asarray([shingle for shingle, _ in pairs], dtype=np.uint64)
        self._owners: NDArray[np.int64] = np.asarray([number for _, number in pairs], dtype=np.int64)
        self._needed = np.asarray([len(shingles) for shingles in self._shingles], dtype=np.int64)
        self._sizes = sorted({len(gram) for shingles in self._shingles for gram in shingles})

    def search(self, texts: Texts, need_answer: bool) -> Iterator[tuple[int, Match]]:
        """Every question that leaked into one of the texts, with the text's number, in order.

        Args:
            texts: what is looked through.
            need_answer: whether the answer must stand in the same text.
        """
        number, text, joined = -1, [""], ""
        for candidate in self._candidates(texts):
            if candidate.text != number:
                number, text = candidate.text, words(texts.text(candidate.text))
                joined = f" {' '.join(text)} "
            match = self._compare(candidate, text, joined)
            if match and (not need_answer or self._has_answer(candidate.item, joined)):
                yield number, match

    def _candidates(self, texts: Texts) -> Iterator[_Candidate]:
        """Items of which a text has at least half of the telling shingles, in the order of texts and items."""
        ends = np.cumsum(texts.lengths)
        starts = ends - texts.lengths + np.arange(len(ends))  # a word that no question has stands between two texts
        numbers = np.zeros(len(texts.words) + len(ends), np.uint64)
        numbers[np.arange(len(texts.words)) + np.repeat(np.arange(len(ends)), texts.lengths)] = self._asked[texts.words]
        keys, places = [], []
        for size in self._sizes:
            hashes, usable = _rolling(numbers, size)
            found = np.flatnonzero(usable)
            first = np.searchsorted(self._hashes, hashes[found], "left")
            counts = np.searchsorted(self._hashes, hashes[found], "right") - first
            steps = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
            place = np.repeat(found, counts)
            keys.append((np.searchsorted(starts, place, "right") - 1) * len(self._needed) + self._owners[steps])
            places.append(place)
        if not keys:
            return
        key, place = np.concatenate(keys), np.concatenate(places)
        order = np.lexsort((place, key))
        key, place = key[order], place[order]
        pairs, first, counts = np.unique(key, return_index=True, return_counts=True)
        enough = np.flatnonzero(counts * 2 >= self._needed[pairs % len(self._needed)])
        for pair, begin, count in zip(pairs[enough], first[enough], counts[enough], strict=True):
            number, item = divmod(int(pair), len(self._needed))
            densest = _densest(place[begin : begin + count], len(self._questions[item]))
            yield _Candidate(number, item, densest - int(starts[number]), int(count))

    def _compare(self, candidate: _Candidate, text: Sequence[str], joined: str) -> Match | None:
        item, place = candidate.item, candidate.place
        question = self._questions[item]
        size = len(question)
        whole = joined.find(f" {' '.join(question)} ")
        if whole >= 0:
            start = joined.count(" ", 0, whole)
            return Match(item, "exact", 1.0, start, start + size)
        first, last = max(0, place - size), min(len(text), place + 2 * size)
        near = f" {' '.join(text[first:last])} "
        if size >= 8 and _unquoted_share(question, near) >= self.overlap:
            if any(f" {' '.join(gram)} " in near for gram in self._telling(question, 13) if len(gram) == 13):
                return Match(item, "13-gram", 1.0, first, last)
            share = _share(self._telling(question, 8), near)
            if share >= self.overlap:
                return Match(item, "8-gram", share, first, last)
        if candidate.shingles < self.jaccard * len(self._shingles[item]):
            return None  # no passage can have as many as a near copy has
        return self._near_copy(item, first, last, text)

    def _near_copy(self, item: int, first: int, last: int, text: Sequence[str]) -> Match | None:
        size = len(self._questions[item])
        wanted = set(_grams(self._questions[item], min(SHINGLE_WORDS, size)))
        telling = set(self._shingles[item])
        best, where = 0.0, first
        for start in range(first, max(first, last - size) + 1, max(1, size // 16)):
            passage = set(_grams(text[start : start + size], min(SHINGLE_WORDS, size)))
            likeness = len(wanted & passage) / len(wanted | passage)
            if likeness > best and len(telling & passage) >= self.jaccard * len(telling):
                best, where = likeness, start
        is_near = best >= self.jaccard
        return Match(item, "near-copy", best, where, min(len(text), where + size)) if is_near else None

    def _has_answer(self, item: int, joined: str) -> bool:
        answers = self._answers[item]
        return not answers or any(
            _share(_grams(answer, min(SHINGLE_WORDS, len(answer))), joined) >= self.overlap for answer in answers
        )

    def _telling(self, question: Sequence[str], size: int) -> list[Gram]:
        """Distinct grams of that size (or the whole of a shorter question) that are not template wording; all of them
        if every one is.
        """
        grams = list(dict.fromkeys(_grams(question, min(size, len(question)))))
        return [gram for gram in grams if gram not in self._template] or grams

    def _hash(self, gram: Gram) -> int:
        numbers = np.asarray([self._vocabulary[word] for word in gram], dtype=np.uint64)
        return int(_rolling(numbers, len(gram))[0][0])


def _grams(text: Sequence[str], size: int) -> list[Gram]:
    return [tuple(text[start : start + size]) for start in range(len(text) - size + 1)] if size else []


def _share(grams: Sequence[Gram], joined: str) -> float:
    return sum(f" {' '.join(gram)} " in joined for gram in grams) / len(grams)


def _unquoted_share(question: Sequence[str], joined: str) -> float:
    """Part of the question's words, its longest stretch found in the text left out, that are found there too (in a
    3-gram); 1 if no other words are left.
    """
    quoted = np.zeros(len(question), dtype=np.bool_)
    for start, gram in enumerate(_grams(question, SHINGLE_WORDS)):
        if f" {' '.join(gram)} " in joined:
            quoted[start : start + SHINGLE_WORDS] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quoted, [False]]).astype(np.int8)))
    longest = int((edges[1::2] - edges[::2]).max(initial=0))
    rest = len(question) - longest
    return (int(quoted.sum()) - longest) / rest if rest else 1.0


def _densest(places: NDArray[np.int64], width: int) -> int:
    """The place from which a window of that width holds most places."""
    ends = np.searchsorted(places, places + width, "left")
    return int(places[int(np.argmax(ends - np.arange(len(places))))])


def _rolling(numbers: NDArray[np.uint64], size: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Hash of every gram of that size, and whether all its words are words of some question."""
    count = max(0, len(numbers) - size + 1)
    hashes = np.full(count, size, dtype=np.uint64)
    known = np.ones(count, dtype=np.bool_)
    for offset in range(size):
        piece = numbers[offset : offset + count]
        hashes = (hashes ^ (hashes >> np.uint64(29))) * _MULTIPLIER + piece
        known &= piece > 0
    return hashes, known
