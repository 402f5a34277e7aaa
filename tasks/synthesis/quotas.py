"""How much of what is made is kept, so that no kind crowds the others out and most of it explains something.

A share is one of the answers' tokens, which the loss sees, and one of questions and answers together, so that short
lookups do not pass in great numbers: both are kept. Where a group has more than its share, what is left out are first
the further wordings of a fact, then facts by a hash of their ids; so a kind keeps its breadth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import Field

from tasks.base.params import Params
from tasks.synthesis.study_params import Manner
from tasks.synthesis.wordings import WORDINGS

LOOKUPS: Final = frozenset(
    {
        "location",
        "import",
        "depends-on",
        "section-place",
        "route-file",
        "pull-number",
        "issue-number",
        "issue-version",
        "merge-date",
        "release-date",
        "changelog-version",
        "file-history",
    }
)
"""Kinds whose answer is a place, a number or a date."""

EXPLAINING: Final = (
    frozenset({"page_instruction", "page_qa", "pull_why", "rewrites", "multi_hop"})
    | frozenset(kind for kind, wording in WORDINGS.items() if wording.explains)
    | {manner.kind for manner in Manner}
)
"""Kinds whose answer explains: what, how, why, what if, who uses, what changed."""

FLOOR_TOKENS: Final = 3_000
"""Any group may have so much: a small repository has few kinds, and shares of little are nothing."""

ROUNDS: Final = 200


class QuotaParams(Params):
    """Largest shares of the dialogues' tokens."""

    kind: float = Field(0.15, gt=0.0, le=1.0)
    """Of one kind."""
    lookups: float = Field(0.08, gt=0.0, le=1.0)
    """Of places, imports, numbers and dates together."""
    tests: float = Field(0.05, gt=0.0, le=1.0)
    """Of what is asked about tests, stories and fixtures."""
    unexplained: float = Field(0.4, gt=0.0, le=1.0)
    """Of everything that explains nothing: lookups, declarations, files, refusals."""


class Weighed(NamedTuple):
    """A dialogue as the quotas see it."""

    id: str
    kind: str
    answer: int
    """Tokens of the answer."""
    whole: int
    """Tokens of question and answer."""
    rank: int
    """Which wording of its fact it is, from 0."""
    is_test: bool


Bucket = tuple[str, bool]


def within(dialogues: Sequence[Weighed], quotas: QuotaParams, refusals: float) -> set[str]:
    """Ids of the dialogues that the quotas allow.

    Args:
        dialogues: all that there are, in any order.
        quotas: largest shares.
        refusals: largest share of refusals.
    """
    buckets: dict[Bucket, list[Weighed]] = {}
    for one in dialogues:
        buckets.setdefault((one.kind, one.is_test), []).append(one)
    parts = fractions(
        [
            {bucket: sum(one.answer for one in held) for bucket, held in buckets.items()},
            {bucket: sum(one.whole for one in held) for bucket, held in buckets.items()},
        ],
        quotas,
        refusals,
    )
    kept: set[str] = set()
    for bucket, held in buckets.items():
        left = parts[bucket] * sum(one.whole for one in held)
        for one in sorted(held, key=lambda one: (one.rank, _hash(one.id))):
            if left < one.whole / 2:
                continue
            left -= one.whole
            kept.add(one.id)
    return kept


def fractions(measures: Sequence[dict[Bucket, int]], quotas: QuotaParams, refusals: float) -> dict[Bucket, float]:
    """How much of each bucket may be kept: the largest fractions, found by scaling every group down to its share in
    turn.

    Args:
        measures: sizes of the buckets, each in tokens of another kind; the shares hold in all of them.
        quotas: largest shares.
        refusals: largest share of refusals.
    """
    kept = dict.fromkeys(sorted(measures[0]), 1.0)
    groups: list[tuple[float, list[Bucket]]] = [
        *((quotas.kind, [bucket for bucket in kept if bucket[0] == kind]) for kind in sorted({b[0] for b in kept})),
        (quotas.lookups, [bucket for bucket in kept if bucket[0] in LOOKUPS]),
        (quotas.tests, [bucket for bucket in kept if bucket[1]]),
        (quotas.unexplained, [bucket for bucket in kept if bucket[0] not in EXPLAINING]),
        (refusals, [bucket for bucket in kept if bucket[0] == "refusal"]),
    ]
    for _ in range(ROUNDS):
        steady = True
        for sizes in measures:
            total = sum(kept[bucket] * size for bucket, size in sizes.items())
            for share, group in groups:
                held = sum(kept[bucket] * sizes[bucket] for bucket in group)
                most = max(share * total, FLOOR_TOKENS)
                if held > most * 1.001:
                    steady = False
                    for bucket in group:
                        kept[bucket] *= most / held
        if steady:
            break
    return kept


def _hash(identifier: str) -> bytes:
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()
