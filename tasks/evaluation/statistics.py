"""The evaluation's figures: means, right answers by kind, paired differences, abstention, verdict.

Every figure of a suite comes from `share` or `change` here, wherever it is shown: page, JSON, card and gate. Of the
suites in `MACRO` it is the average over the kinds of question, so that a kind with many questions does not stand for
the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasks.base.records import Item
from tasks.evaluation.params import FORGETTING, Arm, ReportParams, Suite
from tasks.evaluation.scoring import BINARY, Score
from tasks.figures.statistics import (
    MIN_CLUSTERS,
    MIN_ITEMS,
    Estimate,
    Spread,
    clustered_mean,
    clustered_p,
    clustered_share,
    holm,
    macro_weights,
    mcnemar,
    minimum_detectable_effect,
)
from tasks.text.loss_rows import GENERAL

GUESS: Final = "guess"
"""The control that knows every trained fact but the one that is asked; it asks no model."""

MACRO: Final = frozenset({Suite.RECALL, Suite.PARAPHRASE, Suite.HELD_OUT})
"""Suites whose figure is the mean of their kinds' means."""

Scores = Mapping[str, Sequence[Score]]


def suite_names(scores: Scores) -> list[str]:
    """Suites that were scored, in reading order: sources first, general ones last, their sum at the end."""
    names = {one.suite for arm in scores.values() for one in arm}
    known = [suite.value for suite in Suite if suite in names]
    general = sorted(names - set(known))
    return [*known, *general, *([FORGETTING] if general else [])]


def of_suite(scores: Sequence[Score], suite: str) -> list[Score]:
    """Scores of a suite; `forgetting` holds those of every general suite."""
    known = {member.value for member in Suite}
    return [one for one in scores if one.suite == suite or (suite == FORGETTING and one.suite not in known)]


def arm_figures(scores: Scores, params: ReportParams) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm → suite → mean score with its clustered interval."""
    figures: dict[str, dict[str, dict[str, Any]]] = {}
    for arm, all_scores in scores.items():
        for suite in suite_names(scores):
            chosen = of_suite(all_scores, suite)
            if chosen:
                figures.setdefault(arm, {})[suite] = share(chosen, params)
    return figures


def share(chosen: Sequence[Score], params: ReportParams) -> dict[str, Any]:
    """Mean score of a suite's or kind's answers with its clustered interval.

    Also of how many `kinds`, and how many answers are wholly `right`.
    """
    scores, documents = [one.score for one in chosen], [one.document_id for one in chosen]
    estimate = clustered_share(scores, documents, params.confidence, _weights(chosen))
    return figure(estimate) | {"kinds": _kinds(chosen), "right": sum(one.right for one in chosen)}


def _weights(chosen: Sequence[Score]) -> list[float] | None:
    """One kind counts as much as another in the suites of `MACRO`; elsewhere, one question as much as another."""
    return macro_weights([one.kind for one in chosen]) if chosen[0].suite in MACRO else None


def _kinds(chosen: Sequence[Score]) -> int:
    return len({one.kind for one in chosen})


def kind_figures(scores: Scores, params: ReportParams) -> dict[str, dict[str, Any]]:
    """Kind of recall question → arm → figure as in `arm_figures`, kinds in alphabetical order."""
    recall = {arm: [one for one in scored if one.suite == Suite.RECALL] for arm, scored in scores.items()}
    kinds = sorted({one.kind for scored in recall.values() for one in scored})
    chosen = {
        kind: {arm: [one for one in scored if one.kind == kind] for arm, scored in recall.items()} for kind in kinds
    }
    return {
        kind: {arm: share(scored, params) for arm, scored in by_arm.items() if scored}
        for kind, by_arm in chosen.items()
    }


def differences(
    scores: Scores, second: str, first: str, params: ReportParams, seeds: Mapping[str, Sequence[Spread]] | None = None
) -> dict[str, dict[str, Any]]:
    """Suite → `second` minus `first`, paired over the items that both answered.

    The p-values are adjusted over the suites (Holm). `seeds` has the spread of either side's seeds by suite, where
    there are several.
    """
    rows: dict[str, dict[str, Any]] = {}
    for suite in suite_names(scores):
        pairs = paired(of_suite(scores.get(first, ()), suite), of_suite(scores.get(second, ()), suite))
        if not pairs:
            continue
        rows[suite] = change(pairs, params, (seeds or {}).get(suite, ()))
    tested = [suite for suite in rows if suite != FORGETTING]  # a sum of suites is not another test
    for suite, adjusted in zip(tested, holm([rows[suite]["p"] for suite in tested]), strict=True):
        rows[suite]["p_holm"] = adjusted
    for row in rows.values():
        row["tone"] = _tone(row, params.confidence)
    return rows


def change(pairs: Sequence[tuple[Score, Score]], params: ReportParams, seeds: Sequence[Spread] = ()) -> dict[str, Any]:
    """Second minus first over paired scores of a suite or a kind, with its interval and what it rests on.

    McNemar's test counts one question as much as another, whatever the suite.
    """
    gains = [after.score - before.score for before, after in pairs]
    first = [before for before, _ in pairs]
    documents, weights = [one.document_id for one in first], _weights(first)
    estimate = clustered_mean(gains, documents, params.confidence, weights, seeds)
    return figure(estimate) | {
        "kinds": _kinds(first),
        "wins": sum(gain > 0 for gain in gains),
        "losses": sum(gain < 0 for gain in gains),
        "p": clustered_p(gains, documents, weights, seeds),
        "mcnemar": _mcnemar(pairs),
        "minimum_detectable_effect": _finite(minimum_detectable_effect(estimate.standard_error, params.confidence)),
    }


def _tone(row: Mapping[str, Any], confidence: float) -> str:
    """`better` or `worse` where enough questions say so after the correction for the number of suites, else `open`."""
    if not row["decides"] or row.get("p_holm", row["p"]) >= 1 - confidence:
        return "open"
    return "better" if row["estimate"] > 0 else "worse"


def paired(first: Sequence[Score], second: Sequence[Score]) -> list[tuple[Score, Score]]:
    """Scores of the items that both have, in the order of the first."""
    other = {one.item_id: one for one in second}
    return [(one, other[one.item_id]) for one in first if one.item_id in other]


def abstention(items: Sequence[Item], scores: Scores) -> dict[str, dict[str, float]]:
    """Arm → `recall` and `false_refusals`.

    These are the shares of unanswerable questions, and of their answerable twins, that were declined.
    """
    asked = {item.id: item for item in items if item.suite == Suite.UNANSWERABLE}
    result: dict[str, dict[str, float]] = {}
    for arm, all_scores in scores.items():
        rates = {}
        for name, answerable in (("recall", False), ("false_refusals", True)):
            chosen = [
                one.abstained
                for one in all_scores
                if one.item_id in asked and asked[one.item_id].answerable is answerable
            ]
            if chosen:
                rates[name] = sum(chosen) / len(chosen)
        if rates and arm != GUESS:
            result[arm] = rates
    return result


def code_figures(scores: Scores) -> dict[str, dict[str, float | None]]:
    """Arm → `identifier_f1`, `parse_rate` and `verbatim_words` of its code answers.

    The rate is over the items whose reference parses; the words are the mean longest run.
    """
    result: dict[str, dict[str, float | None]] = {}
    for arm, all_scores in scores.items():
        code = [one for one in all_scores if one.identifier_f1 is not None]
        parsed = [one.parses for one in code if one.parses is not None]
        if code:
            result[arm] = {
                "identifier_f1": sum(one.identifier_f1 or 0 for one in code) / len(code),
                "parse_rate": sum(parsed) / len(parsed) if parsed else None,
                "verbatim_words": sum(one.verbatim_words for one in code) / len(code),
            }
    return result


def verdict(
    arms: Mapping[str, Mapping[str, Any]],
    gains: Mapping[str, Mapping[str, Any]],
    losses: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    """One sentence for a hasty reader: the average over kinds beside the guess, then what was lost.

    Args:
        arms: `arm_figures`.
        gains: `differences` of tuned and base.
        losses: arm → stream → `loss`, nats a token; without general text nothing is said of it.
    """
    recall = gains.get(Suite.RECALL)
    if recall is None:
        return (
            "Nothing was measured about trained facts: no question was answered by both the base and the tuned model."
        )
    tuned = arms[Arm.TUNED][Suite.RECALL]
    others = [
        f"{name} {100 * arms[arm][Suite.RECALL]['estimate']:.0f}%"
        for arm, name in ((Arm.BASE, "base"), (Arm.BASE_RETRIEVAL, "base with retrieval"), (GUESS, "guess"))
        if Suite.RECALL in arms.get(arm, {})
    ]
    kinds = f"{tuned['kinds']} kind{'s' if tuned['kinds'] != 1 else ''}"
    sentence = (
        f"Over {kinds} of questions about trained facts, each counting alike, the tuned model scores "
        f"{100 * tuned['estimate']:.0f}% ({', '.join(others)}), and {tuned['right']} of {tuned['items']} answers are "
        f"wholly right: {_claim(recall)}"
    )
    forgetting = gains.get(FORGETTING)
    lost = [f"in general tasks it {_change(forgetting)}"] if forgetting else []
    general = [losses.get(arm, {}).get(GENERAL, {}).get("loss") for arm in (Arm.TUNED, Arm.BASE)]
    if general[0] is not None and general[1] is not None:
        lost.append(f"its loss on general text moved by {general[0] - general[1]:+.3f} nats a token")
    return f"{sentence}; {' and '.join(lost) or 'what it forgot was not measured'}."


def _claim(gain: Mapping[str, Any]) -> str:
    if not gain["decides"]:
        return too_few(gain)
    points = (
        f"{100 * gain['estimate']:+.0f} points over the base model, "
        f"between {100 * gain['low']:+.0f} and {100 * gain['high']:+.0f}"
    )
    if gain["low"] > 0:
        return points
    return (
        f"{points}: worse" if gain["high"] < 0 else f"{points}: no difference that {gain['items']} questions can show"
    )


def too_few(gain: Mapping[str, Any]) -> str:
    """Why a suite decides nothing."""
    return (
        f"{gain['items']} questions of {gain['documents']} document{'s' if gain['documents'] != 1 else ''} are too few "
        f"to claim anything ({MIN_ITEMS} of {MIN_CLUSTERS} are needed)"
    )


def _change(gain: Mapping[str, Any]) -> str:
    if not gain["decides"]:
        return f"was asked too little to say: {too_few(gain)}"
    interval = f"{100 * gain['estimate']:+.1f} points, between {100 * gain['low']:+.1f} and {100 * gain['high']:+.1f}"
    if gain["high"] < 0:
        return f"lost measurably ({interval})"
    return f"gained measurably ({interval})" if gain["low"] > 0 else f"changed by nothing measurable ({interval})"


def _mcnemar(pairs: Sequence[tuple[Score, Score]]) -> float | None:
    """Over the items with 0/1 scores, where there are any."""
    binary = [
        (before.score == 1, after.score == 1)
        for before, after in pairs
        if before.kind in BINARY or before.suite == Suite.UNANSWERABLE
    ]
    return mcnemar([before for before, _ in binary], [after for _, after in binary]) if binary else None


def figure(estimate: Estimate) -> dict[str, Any]:
    """An estimate as summary.json has it."""
    return {
        "estimate": round(estimate.mean, 6),
        "low": _finite(estimate.low),
        "high": _finite(estimate.high),
        "items": estimate.items,
        "documents": estimate.clusters,
        "decides": estimate.decides,
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity: an interval without information is null."""
    return round(value, 6) if math.isfinite(value) else None
