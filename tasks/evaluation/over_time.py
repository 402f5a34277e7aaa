"""This evaluation against an earlier one, paired over the questions that both asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tasks.base.runs import read_records
from tasks.base.store import Artifact, Store
from tasks.evaluation.comparison import differences
from tasks.evaluation.params import Arm, ReportParams
from tasks.evaluation.scoring import Score


def regressions(later: Iterable[Score], earlier: Iterable[Score], params: ReportParams) -> dict[str, dict[str, Any]]:
    """Suite → the tuned model of the later report minus that of the earlier one, on the items that both answered.

    An item is the same if its id is: document, kind and wording. Its reference may have changed with the source since;
    each report scored by its own.
    """
    tuned = {
        name: [one for one in scores if one.arm == Arm.TUNED]
        for name, scores in (("later", later), ("earlier", earlier))
    }
    return differences(tuned, "later", "earlier", params)


def compare_reports(
    store: Store, later: Artifact, earlier: Artifact, params: ReportParams | None = None
) -> dict[str, dict[str, Any]]:
    """`regressions` of two artifacts of evaluation/report."""
    scores = (read_records(store, artifact, Score, "scores.jsonl") for artifact in (later, earlier))
    return regressions(next(scores), next(scores), params or ReportParams())
