"""The guess control: the best score of somebody who knows which answers each kind of question has, and nothing else.

Names betray their files (`test_x` lies in `tests/test_x.py`) and most switches are off, so many questions can be right
without any knowledge of them; no figure means anything without this one beside it. There are four ways to guess, each
from the trained facts of the kind without the one that is asked: what holds for the most similar subject, what holds
most often, the single values that occur most often in lists, what holds for another one by lot. For each kind the one
counts that scores best, with the scorer of the report, when the trained facts themselves are asked. So who answers at
random, or always the same, lies at or below the guess.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from statistics import median_low
from typing import Final

from rapidfuzz import fuzz, process

from tasks.evaluation.questions import FACTS, OWN
from tasks.evaluation.scorers import MARKED
from tasks.text.facts import Fact

TRIED: Final = 60
"""Trained facts of a kind, in order of a hash, on which the ways to guess are tried."""

DETAILS: Final = ("parameter", "field", "member", "key", "error", "target", "column")
"""Words of a fact that are asked about together with its subject."""

Way = Callable[[str, str], str | None]
"""From a kind and what is asked about to a guess; None if there is nothing to guess from."""


class Guesser:
    """Guesses at facts from trained ones of the same kind; the fact itself is never used."""

    def __init__(self, trained: Iterable[Fact]) -> None:
        self._known: dict[str, dict[str, Fact]] = defaultdict(dict)
        for fact in trained:
            self._known[fact.kind].setdefault(asked_about(fact), fact)
        self._order = {kind: sorted(table, key=_lot) for kind, table in self._known.items()}
        self._often = {
            kind: Counter(answers_of(one)[0] for one in table.values()) for kind, table in self._known.items()
        }
        self._values = {
            kind: Counter(value for one in table.values() for value in set(one.values))
            for kind, table in self._known.items()
        }
        self._best = {kind: self._best_way(kind) for kind in self._known}

    def guess(self, fact: Fact) -> str | None:
        """The guess; None without another trained fact of the kind."""
        way = self._best.get(fact.kind)
        return way(fact.kind, asked_about(fact)) if way else None

    def _alike(self, kind: str, about: str) -> str | None:
        table = self._known[kind]
        found = process.extract(about, table.keys(), scorer=fuzz.ratio, limit=2)
        return next((answers_of(table[other])[0] for other, _, _ in found if not _same(other, about)), None)

    def _frequent(self, kind: str, about: str) -> str | None:
        """The most frequent answer to others; None if there are no others."""
        own = self._known[kind].get(about)
        counts = self._often[kind] - Counter([answers_of(own)[0]] if own else [])
        return min(counts, key=lambda value: (-counts[value], value), default=None)

    def _usual_values(self, kind: str, about: str) -> str | None:
        """So many single values as a list of the kind usually has, the most frequent ones."""
        own = self._known[kind].get(about)
        counts = self._values[kind] - Counter(set(own.values) if own else ())
        wanted = median_low([len(one.values) for one in self._known[kind].values()])
        return ", ".join(sorted(counts, key=lambda value: (-counts[value], value))[:wanted]) or None

    def _by_lot(self, kind: str, about: str) -> str | None:
        others = [other for other in self._order[kind] if not _same(other, about)]
        return answers_of(self._known[kind][others[int(_lot(about), 16) % len(others)]])[0] if others else None

    def _best_way(self, kind: str) -> Way:
        tried = [(about, answers_of(self._known[kind][about])) for about in self._order[kind][:TRIED]]
        mark = MARKED[(FACTS | OWN)[kind].marked]

        def worth(way: Way) -> float:
            return sum(mark(way(kind, about) or "", references) for about, references in tried)

        return max((self._alike, self._frequent, self._usual_values, self._by_lot), key=worth)


def _same(other: str, about: str) -> bool:
    return other.casefold() == about.casefold()


def _lot(about: str) -> str:
    return hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()


def answers_of(fact: Fact) -> tuple[str, ...]:
    """References of a question about a fact: the canonical answer and its aliases, or for what is answered by several
    values together one list of them. Of what has more answers than a dialogue names (`every`) all are references.
    """
    if every := fact.words.get("every"):
        return tuple(every.split("\n"))
    return fact.values if fact.shape in ("one", "any") else (", ".join(fact.values),)


def asked_about(fact: Fact) -> str:
    """What a fact's question names."""
    return " ".join([fact.subject, *(fact.words[name] for name in DETAILS if name in fact.words)])
