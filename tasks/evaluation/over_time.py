"""This evaluation against an earlier one: the tuned models of both, paired over the questions that both were asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.base.artifacts import Artifact
from tasks.base.runs import read_json, read_records
from tasks.base.store import Store
from tasks.evaluation.params import Arm, ReportParams
from tasks.evaluation.scoring import Score
from tasks.evaluation.statistics import GUESS, differences, of_suite, paired, share


@dataclass(frozen=True)
class Earlier:
    """Scores of an earlier report, or of a release, which keeps a copy of its report's."""

    name: str
    """Revision of the release, or what made the artifact and the beginning of its hash."""
    scores: Sequence[Score]


def read_earlier(store: Store, artifact: Artifact) -> Earlier:
    """Scores of an artifact of evaluation/report or of a release folder."""
    return Earlier(_name(store, artifact), list(read_records(store, artifact, Score, "scores.jsonl")))


def against(scores: Iterable[Score], earlier: Earlier, params: ReportParams) -> dict[str, Any]:
    """The tuned model of this report minus that of the earlier one.

    An item is the same if its id is: document, kind and wording. Its reference may have changed with the source since;
    each report scored by its own.

    Returns:
        `name` of the earlier report, numbers of questions `shared`, asked `only_now` and `only_then`, and `differences`
            by suite as in `comparison.differences`, each with the means `then` and `now` over the shared questions and
            `guess`, what this report's control without a model has of those that it answers (null without any); no
            suite without any.
    """
    every = list(scores)
    now, then = ([one for one in found if one.arm == Arm.TUNED] for found in (every, earlier.scores))
    guessed = {one.item_id: one for one in every if one.arm == GUESS}
    asked_now, asked_then = ({one.item_id for one in found} for found in (now, then))
    rows = differences({"now": now, "then": then}, "now", "then", params)
    for suite, row in rows.items():
        pairs = paired(of_suite(then, suite), of_suite(now, suite))
        for place, name in enumerate(("then", "now")):
            row[name] = share([pair[place] for pair in pairs], params)["estimate"]
        known = [guessed[one.item_id] for one, _ in pairs if one.item_id in guessed]
        row["guess"] = share(known, params)["estimate"] if known else None
    return {
        "name": earlier.name,
        "shared": len(asked_now & asked_then),
        "only_now": len(asked_now - asked_then),
        "only_then": len(asked_then - asked_now),
        "differences": rows,
    }


def in_words(previous: dict[str, Any]) -> str:
    """What was compared, in one sentence; said plainly where there is nothing to compare."""
    name, shared = previous["name"], previous["shared"]
    if shared:
        return (
            f"{shared:,} questions were asked of this model and of {name}; "
            f"{previous['only_now']:,} are new and {previous['only_then']:,} are no longer asked."
        )
    return (
        f"Nothing can be compared with {name}: none of its {previous['only_then']:,} questions was asked of this "
        f"model, which answered {previous['only_now']:,} others."
    )


def compare_reports(
    store: Store, later: Artifact, earlier: Artifact, params: ReportParams | None = None
) -> dict[str, Any]:
    """`against` of two finished reports or releases."""
    scores = read_records(store, later, Score, "scores.jsonl")
    return against(scores, read_earlier(store, earlier), params or ReportParams())


def _name(store: Store, artifact: Artifact) -> str:
    if (store.blob(artifact.sha256) / "manifest.json").exists():
        return str(read_json(store, artifact, "manifest.json")["revision"])
    return f"{artifact.step} {artifact.sha256[:12]}"
