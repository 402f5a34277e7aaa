"""The guess control: what somebody scores who knows the trained facts, yet nothing about the one that is asked.

Names betray their files (`test_x` lies in `tests/test_x.py`) and most switches are off, so many questions can be right
without any knowledge of them; no figure means anything without this one beside it. For each kind the better of two
ways to guess is taken, by how often it is right about the trained facts themselves: what holds for the most similar
trained subject, or what holds most often.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process

from tasks.text.facts import Fact

TRIED: Final = 60
"""Trained facts of a kind, in order of id, on which the two ways to guess are tried."""

DETAILS: Final = ("parameter", "field", "member", "key", "error", "target", "column")
"""Words of a fact that are asked about together with its subject."""


class Guesser:
    """Guesses at facts from trained ones of the same kind; the fact itself is never used."""

    def __init__(self, trained: Iterable[Fact]) -> None:
        self._known: dict[str, dict[str, str]] = defaultdict(dict)
        for fact in trained:
            self._known[fact.kind].setdefault(asked_about(fact), answers_of(fact)[0])
        self._often = {kind: Counter(table.values()).most_common() for kind, table in self._known.items()}
        self._by_likeness = {kind: self._likeness_is_better(kind) for kind in self._known}

    def guess(self, fact: Fact) -> str | None:
        """The guess; None without another trained fact of the kind."""
        way = self._alike if self._by_likeness.get(fact.kind) else self._frequent
        return way(fact.kind, asked_about(fact))

    def _alike(self, kind: str, about: str) -> str | None:
        table = self._known.get(kind, {})
        found = process.extract(about, table.keys(), scorer=fuzz.ratio, limit=2)
        return next((table[other] for other, _, _ in found if other.casefold() != about.casefold()), None)

    def _frequent(self, kind: str, about: str) -> str | None:
        """The most frequent answer to others; None if there are no others."""
        own = self._known.get(kind, {}).get(about)
        ranked = [(count - (value == own), value) for value, count in self._often.get(kind, ())]
        count, value = max(ranked, default=(0, ""), key=lambda entry: entry[0])
        return value if count else None

    def _likeness_is_better(self, kind: str) -> bool:
        tried = sorted(self._known[kind])[:TRIED]
        hits = [
            sum(way(kind, about) == self._known[kind][about] for about in tried)
            for way in (self._alike, self._frequent)
        ]
        return hits[0] >= hits[1]


def answers_of(fact: Fact) -> tuple[str, ...]:
    """References of a question about a fact: the canonical answer and its aliases, or for what is answered by several
    values together one list of them.
    """
    return fact.values if fact.shape in ("one", "any") else (", ".join(fact.values),)


def asked_about(fact: Fact) -> str:
    """What a fact's question names."""
    return " ".join([fact.subject, *(fact.words[name] for name in DETAILS if name in fact.words)])
