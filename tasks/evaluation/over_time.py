"""This evaluation against an earlier one: the tuned models of both, paired over the questions that both were asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.base.artifacts import Artifact
from tasks.base.runs import read_json, read_records
from tasks.base.store import Store
from tasks.evaluation.comparison import compared
from tasks.evaluation.params import ReportParams
from tasks.evaluation.scoring import Score


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
    found = compared([earlier.scores], [list(scores)], params)
    rows = found["differences"]
    for row in rows.values():
        row["then"], row["now"] = row.pop("first"), row.pop("second")
    numbers = {"only_now": found["only_second"], "only_then": found["only_first"]}
    return {"name": earlier.name, "shared": found["shared"], **numbers, "differences": rows}


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
