"""Two evaluations side by side, paired over the questions that both asked: recipes, seeds or months.

Either side may be several runs of one recipe with other seeds. Their scores of a question are averaged, and the
variance between the seeds' means, by their number, is added to that between documents: seeds and questions are two
reasons why a difference may be chance. Of a single run nothing is known about its seed, and the page says so.

A report compares itself with an earlier one in the same way: the tuned models of both, over the questions that both
were asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.runs import read_json, read_records
from tasks.base.store import Store
from tasks.evaluation.params import Arm, ReportParams, Suite
from tasks.evaluation.scoring import Score
from tasks.evaluation.statistics import GUESS, change, differences, of_suite, paired, share, suite_names
from tasks.figures.charts import Interval, forest
from tasks.figures.page import render
from tasks.figures.statistics import MIN_CLUSTERS, MIN_ITEMS, Spread, seed_spread

TEMPLATE: Final = Path(__file__).with_name("comparison.html.jinja")

FIRST: Final = "first"
SECOND: Final = "second"

Runs = Sequence[Sequence[Score]]
"""Scores of every arm of one or more runs."""


def compared(first: Runs, second: Runs, params: ReportParams, arm: str = Arm.TUNED) -> dict[str, Any]:
    """The second side's arm minus the first's.

    Args:
        first: runs of one recipe; more than one are its seeds.
        second: the same of the other.
        params: confidence.
        arm: whose answers are compared.

    Returns:
        Numbers of questions `shared`, `only_first` and `only_second`, numbers of runs `seeds` (first, second), and
            `differences` by suite and `kinds` by kind of recall question: as the report's `differences`, each with the
            means `first` and `second` over the shared questions and `guess`, what the second side's control without a
            model has of those that it answers (null without any). No suite or kind without a shared question.
    """
    sides = {FIRST: [_of_arm(run, arm) for run in first], SECOND: [_of_arm(run, arm) for run in second]}
    asked = {side: set.intersection(*({one.item_id for one in run} for run in runs)) for side, runs in sides.items()}
    shared = asked[FIRST] & asked[SECOND]
    each = {side: [[one for one in run if one.item_id in shared] for run in runs] for side, runs in sides.items()}
    means = {side: _averaged(runs) for side, runs in each.items()}
    guessed = {one.item_id: one for run in second for one in run if one.arm == GUESS}
    spreads = {suite: _spread(each, suite, params) for suite in suite_names(means)}
    rows = differences(means, SECOND, FIRST, params, spreads)
    kinds = {}
    for suite, row in rows.items():
        row |= _means(paired(of_suite(means[FIRST], suite), of_suite(means[SECOND], suite)), guessed, params)
    recall = {side: of_suite(figures, Suite.RECALL) for side, figures in means.items()}
    for kind in sorted({one.kind for one in recall[FIRST]}):
        pairs = paired([one for one in recall[FIRST] if one.kind == kind], recall[SECOND])
        of_kind = {
            side: [[one for one in run if (one.suite, one.kind) == (Suite.RECALL, kind)] for run in runs]
            for side, runs in each.items()
        }
        kinds[kind] = change(pairs, params, _spread(of_kind, Suite.RECALL, params)) | _means(pairs, guessed, params)
    return {
        "shared": len(shared),
        "only_first": len(asked[FIRST] - shared),
        "only_second": len(asked[SECOND] - shared),
        "seeds": [len(first), len(second)],
        "differences": rows,
        "kinds": kinds,
    }


def comparison_page(found: Mapping[str, Any], names: tuple[str, str], params: ReportParams) -> str:
    """The comparison as HTML.

    Args:
        found: of `compared`.
        names: of the first and the second side.
        params: confidence.
    """
    rows = [
        Interval(suite, row["estimate"], row["low"], row["high"], row["tone"])
        for suite, row in found["differences"].items()
    ]
    return render(
        TEMPLATE,
        found=found,
        names=names,
        confidence=params.confidence,
        enough=f"{MIN_ITEMS} of {MIN_CLUSTERS} documents",
        forest=forest(rows) if rows else None,
        warning=seed_warning(found),
    )


def seed_warning(found: Mapping[str, Any]) -> str:
    """What the intervals cannot know, in one sentence; empty where both sides have several seeds."""
    single = [side for side, count in zip((FIRST, SECOND), found["seeds"], strict=True) if count == 1]
    if not single:
        return ""
    whose = "either side" if len(single) == 2 else f"the {single[0]} side"
    return f"There is one run of {whose}: what another seed would change is not in the intervals."


def _of_arm(run: Sequence[Score], arm: str) -> list[Score]:
    return [one for one in run if one.arm == arm]


def _averaged(runs: Runs) -> list[Score]:
    """One score a question, the mean over the runs; in the order of the first."""
    total: dict[str, float] = defaultdict(float)
    for run in runs:
        for one in run:
            total[one.item_id] += one.score
    return [one.model_copy(update={"score": total[one.item_id] / len(runs)}) for one in runs[0]]


def _spread(each: Mapping[str, Runs], suite: str, params: ReportParams) -> list[Spread]:
    """Spread of both sides' seeds in a suite."""
    return [
        spread
        for runs in each.values()
        for spread in seed_spread([share(of_suite(run, suite), params)["estimate"] for run in runs])
    ]


def _means(
    pairs: Sequence[tuple[Score, Score]], guessed: Mapping[str, Score], params: ReportParams
) -> dict[str, float | None]:
    known = [guessed[one.item_id] for one, _ in pairs if one.item_id in guessed]
    return {
        FIRST: share([pair[0] for pair in pairs], params)["estimate"],
        SECOND: share([pair[1] for pair in pairs], params)["estimate"],
        "guess": share(known, params)["estimate"] if known else None,
    }


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
            by suite with the means `then`, `now` and `guess`, as in `comparison.compared`.
    """
    comparison = compared([earlier.scores], [list(scores)], params)
    rows = comparison["differences"]
    for row in rows.values():
        row["then"], row["now"] = row.pop("first"), row.pop("second")
    numbers = {"only_now": comparison["only_second"], "only_then": comparison["only_first"]}
    return {"name": earlier.name, "shared": comparison["shared"], **numbers, "differences": rows}


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


def _name(store: Store, artifact: Artifact) -> str:
    if (store.blob(artifact.sha256) / "manifest.json").exists():
        return str(read_json(store, artifact, "manifest.json")["revision"])
    return f"{artifact.step} {artifact.sha256[:12]}"
