"""Whether a training text holds an evaluation question together with its answer.

Texts are compared as words: case, spacing, punctuation and markup do not count. The questions are few and lie in an
index in memory; the training texts stream past it, so memory does not depend on them. A question is found in a text
when

- `exact`: all its words stand there in a row;
- `13-gram`: 13 of its words stand there in a row that no other document's question has (the length that GPT-3 and
  lm-evaluation-harness decontaminate by);
- `8-gram`: at least `overlap` of its 8-grams stand there (the length of PaLM's and Llama 2's contamination checks);
- `near-copy`: some passage of its length has a Jaccard index of word 3-grams of at least `jaccard` with it. MinHash
  estimates this number; here it is computed, because the index leaves few passages to compare.

It leaked when the answer stands in the same text: a question about something is no leak, and neither is an answer,
which recall expects to be in the training text. Wording that questions of many documents share is template, not
evidence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import Item

_WORD: Final = re.compile(r"[^\W_]+")
_SHINGLE: Final = 3
_SHARED: Final = 3
"""A gram in questions about more documents than this is template wording."""
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


def words(text: str) -> list[str]:
    """The words of a text, in compatibility form and lower case; underscores separate."""
    return _WORD.findall(text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True)
class Match:
    """A question found in a text."""

    item: int
    """Number of the item in the index."""
    rule: str
    """`exact`, `13-gram`, `8-gram` or `near-copy`."""
    score: float
    """Part of the question's 8-grams found, or Jaccard index of a near copy; 1 for `exact`."""
    start: int
    """First word of the passage in the text's words."""
    end: int
    """Word after the passage."""


class QuestionIndex:
    """The questions of an evaluation, ready to be looked up in texts."""

    def __init__(self, items: Sequence[Item], overlap: float, jaccard: float) -> None:
        self.overlap, self.jaccard = overlap, jaccard
        self.questions = [words(item.question) for item in items]
        self.answers = [[found for answer in item.answers if (found := words(answer))] for item in items]
        self._numbers: dict[str, int] = {}
        for question in self.questions:
            for word in question:
                self._numbers.setdefault(word, len(self._numbers) + 1)
        documents: dict[tuple[str, ...], set[str]] = {}
        for item, question in zip(items, self.questions, strict=True):
            for size in (_SHINGLE, 13):
                for gram in _grams(question, size):
                    documents.setdefault(gram, set()).add(item.document_id)
        self._template = {gram for gram, where in documents.items() if len(where) > _SHARED}
        pairs = sorted(
            (self._hash_of(gram), number)
            for number, question in enumerate(self.questions)
            for gram in self._telling(question)
        )
        self._grams: NDArray[np.uint64] = np.asarray([gram for gram, _ in pairs], dtype=np.uint64)
        self._items: NDArray[np.int64] = np.asarray([number for _, number in pairs], dtype=np.int64)
        self._needed = np.asarray([len(self._telling(question)) for question in self.questions], dtype=np.int64)

    def search(self, text: Sequence[str], need_answer: bool) -> list[Match]:
        """Every question that leaked into the text.

        Args:
            text: its `words`.
            need_answer: whether the answer must stand in it too.
        """
        matches = []
        joined = ""
        for item, place in self._candidates(text):
            joined = joined or f" {' '.join(text)} "
            match = self._compare(item, place, text, joined)
            if match and (not need_answer or self._has_answer(item, joined)):
                matches.append(match)
        return matches

    def _candidates(self, text: Sequence[str]) -> list[tuple[int, int]]:
        """Items that have half of their telling shingles in the text, with the place where most of them are."""
        numbers = np.fromiter((self._numbers.get(word, 0) for word in text), dtype=np.uint64, count=len(text))
        if not numbers.any():
            return []
        found_items, found_places = [], []
        for size in (1, 2, _SHINGLE):
            hashes, known = _rolling(numbers, size)
            places = np.flatnonzero(known)
            left = np.searchsorted(self._grams, hashes[places], "left")
            counts = np.searchsorted(self._grams, hashes[places], "right") - left
            if counts.sum():
                runs = np.repeat(left - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
                found_items.append(self._items[runs + np.arange(counts.sum())])
                found_places.append(np.repeat(places, counts))
        if not found_items:
            return []
        items, places = np.concatenate(found_items), np.concatenate(found_places)
        enough = np.bincount(items, minlength=len(self._needed)) * 2 >= self._needed
        result = []
        for item in np.unique(items):
            if enough[item]:
                result.append((int(item), self._densest(np.sort(places[items == item]), len(self.questions[item]))))
        return result

    @staticmethod
    def _densest(places: NDArray[np.int64], width: int) -> int:
        ends = np.searchsorted(places, places + width, "left")
        return int(places[int(np.argmax(ends - np.arange(len(places))))])

    def _compare(self, item: int, place: int, text: Sequence[str], joined: str) -> Match | None:
        question = self.questions[item]
        size = len(question)
        if f" {' '.join(question)} " in joined:
            start = joined[: joined.index(f" {' '.join(question)} ")].count(" ")
            return Match(item, "exact", 1.0, start, start + size)
        first, last = max(0, place - size), min(len(text), place + 2 * size)
        near = f" {' '.join(text[first:last])} "
        grams = [gram for gram in _grams(question, 13) if gram not in self._template] if size >= 13 else []
        if any(f" {' '.join(gram)} " in near for gram in grams):
            return Match(item, "13-gram", 1.0, first, last)
        if size >= 8:
            eights = _grams(question, 8)
            share = sum(f" {' '.join(gram)} " in near for gram in eights) / len(eights)
            if share >= self.overlap:
                return Match(item, "8-gram", share, first, last)
        return self._near_copy(item, first, last, text)

    def _near_copy(self, item: int, first: int, last: int, text: Sequence[str]) -> Match | None:
        question = self.questions[item]
        size = min(_SHINGLE, len(question))
        wanted = set(_grams(question, size))
        best, where = 0.0, first
        for start in range(first, max(first, last - len(question)) + 1):
            passage = set(_grams(text[start : start + len(question)], size))
            likeness = len(wanted & passage) / len(wanted | passage) if passage else 0.0
            if likeness > best:
                best, where = likeness, start
        if best < self.jaccard:
            return None
        return Match(item, "near-copy", best, where, min(len(text), where + len(question)))

    def _has_answer(self, item: int, joined: str) -> bool:
        answers = self.answers[item]
        return not answers or any(_share(answer, joined) >= self.overlap for answer in answers)

    def _telling(self, question: Sequence[str]) -> list[tuple[str, ...]]:
        grams = list(dict.fromkeys(_grams(question, min(_SHINGLE, len(question)))))
        return [gram for gram in grams if gram not in self._template] or grams

    def _hash_of(self, gram: tuple[str, ...]) -> int:
        numbers = np.asarray([self._numbers[word] for word in gram], dtype=np.uint64)
        return int(_rolling(numbers, len(gram))[0][0])


def _grams(text: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(text[start : start + size]) for start in range(len(text) - size + 1)] if size else []


def _share(answer: Sequence[str], joined: str) -> float:
    grams = _grams(answer, min(8, len(answer)))
    return sum(f" {' '.join(gram)} " in joined for gram in grams) / len(grams)


def _rolling(numbers: NDArray[np.uint64], size: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Hash of every gram of that size, and whether all its words are words of some question."""
    count = max(0, len(numbers) - size + 1)
    hashes = np.full(count, np.uint64(size), dtype=np.uint64)
    known = np.ones(count, dtype=np.bool_)
    for offset in range(size):
        piece = numbers[offset : offset + count]
        hashes = (hashes ^ (hashes >> np.uint64(29))) * _MULTIPLIER + piece
        known &= piece > 0
    return hashes, known
