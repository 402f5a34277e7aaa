"""Questions that were asked before: the same words, or nearly the same words about the same names.

Two questions that differ in an identifier or number are never duplicates, however alike the rest is. Wordings of one
fact are meant to be alike, so likeness is measured on runs of words and the limit is high.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from tasks.synthesis.checks import identifiers
from tasks.text.ngrams import jaccard, normalise, signature

NEAR: Final = 0.8
"""Estimated Jaccard similarity of question and answer, on shingles of five words."""


class Asked:
    """What was asked so far. Memory: one hash per question, and one MinHash signature per model-written one."""

    def __init__(self) -> None:
        self._exact: set[bytes] = set()
        self._near: dict[bytes, list[object]] = {}

    def worded_before(self, exact: bytes) -> bool:
        """Whether a template's question of that `wording` was asked before; if not, it is remembered."""
        known = exact in self._exact
        self._exact.add(exact)
        return known

    def before(self, question: str, answer: str, near: bool) -> str | None:
        """`duplicate` or `near-duplicate` if it was asked before, else None and it is remembered.

        Args:
            question: compared exactly, white space aside.
            answer: compared with the question for near duplicates only.
            near: whether case and punctuation are put aside and near duplicates count. Not for templates: their
                questions may differ in nothing but `Fuel` and `fuel`, or `./a` and `../a`.
        """
        exact = _digest(normalise(question)) if near else wording(question)
        if exact in self._exact:
            return "duplicate"
        if near:
            names = " ".join(sorted([*identifiers(question), *re.findall(r"\d+", question)]))
            written = signature(f"{normalise(question)} {normalise(answer)[:500]}")
            alike = self._near.setdefault(_digest(normalise(names)), [])
            if any(jaccard(written, other) >= NEAR for other in alike):  # type: ignore[arg-type]
                return "near-duplicate"
            alike.append(written)
        self._exact.add(exact)
        return None


def wording(question: str) -> bytes:
    """A question by its words, white space aside."""
    return _digest(" ".join(question.split()))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
