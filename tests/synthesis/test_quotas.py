"""Quotas: shares hold for the answers' tokens and for questions and answers together; further wordings go first."""

from __future__ import annotations

from collections import Counter

from tasks.synthesis.quotas import EXPLAINING, LOOKUPS, QuotaParams, Weighed, within

LONG = ("caller", "calls", "profile", "reverse-use", "type", "error", "pull", "reason", "renders", "value", "route")


def dialogues() -> list[Weighed]:
    """Many short lookups, some files whose answers are nearly all of their tokens, eleven kinds that explain."""
    found = [Weighed(f"location {n}", "location", 6, 40, n % 4, False) for n in range(4_000)]
    found += [Weighed(f"file {n}", "file_question", 900, 910, 0, n % 5 == 0) for n in range(300)]
    found += [Weighed(f"{kind} {n}", kind, 30, 60, n % 4, False) for kind in LONG for n in range(1_000)]
    return found


def test_shares_hold_in_both_measures() -> None:
    quotas, everything = QuotaParams(), dialogues()
    kept_ids = within(everything, quotas, refusals=0.04)
    kept = [one for one in everything if one.id in kept_ids]
    for measure in ("answer", "whole"):
        sizes: Counter[str] = Counter()
        for one in kept:
            sizes[one.kind] += getattr(one, measure)
        total = sizes.total()
        assert max(sizes.values()) <= 1.02 * quotas.kind * total
        assert sum(sizes[kind] for kind in LOOKUPS) <= 1.02 * quotas.lookups * total
        assert sum(size for kind, size in sizes.items() if kind not in EXPLAINING) <= 1.02 * quotas.unexplained * total
    ranks = Counter(one.rank for one in kept if one.kind == "location")
    assert ranks[0] > ranks[3]
    assert {one.id for one in everything if one.kind == "caller"} <= kept_ids, "what has less than its share stays"


def test_a_small_repository_keeps_all() -> None:
    few = [Weighed(f"location {n}", "location", 6, 40, 0, False) for n in range(20)]
    assert within(few, QuotaParams(), refusals=0.04) == {one.id for one in few}
