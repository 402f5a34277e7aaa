"""The figures of an evaluation that a release rests on, read from the report's summary.json.

Kept apart from the gate so that the gate, the model card and the comparison with an earlier release see the same
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

FORGETTING: Final = "forgetting"
"""The suite that sums up the general ones."""


class Figure(BaseModel):
    """A point estimate with its 95% interval; `low` and `high` are null where the report gives none."""

    model_config = ConfigDict(frozen=True)

    estimate: float
    low: float | None = None
    high: float | None = None
    items: int | None = None

    @property
    def text(self) -> str:
        """As printed in tables: `0.41 [0.30, 0.52]`."""
        if self.low is None or self.high is None:
            return f"{self.estimate:.2f}"
        return f"{self.estimate:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Measures(BaseModel):
    """What the gate decides on and the card shows. Shares are between 0 and 1, losses in nats per token; null = not
    measured.
    """

    model_config = ConfigDict(frozen=True)

    scores: dict[str, dict[str, Figure]]
    """Suite → arm → mean score."""
    differences: dict[str, Figure]
    """Suite → tuned minus base, paired."""
    losses: dict[str, dict[str, float]]
    """Arm → stream → mean loss."""
    leaks: int | None

    def loss_change(self, stream: str) -> float | None:
        """Tuned minus base loss of a stream, or None if either is missing."""
        base, tuned = (self.losses.get(arm, {}).get(stream) for arm in ("base", "tuned"))
        return None if base is None or tuned is None else tuned - base


def read_measures(summary: Mapping[str, Any]) -> Measures:
    """The figures in an evaluation's summary.json."""
    arms: Mapping[str, Mapping[str, Any]] = summary.get("arms", {})
    scores: dict[str, dict[str, Figure]] = {}
    for arm, suites in arms.items():
        for suite, value in suites.items():
            figure = _figure(value)
            if figure is not None:
                scores.setdefault(suite, {})[arm] = figure
    differences = {suite: _figure(value) for suite, value in summary.get("differences", {}).items()}
    losses = {arm: _losses(streams) for arm, streams in summary.get("losses", {}).items()}
    return Measures(
        scores=scores,
        differences={suite: figure for suite, figure in differences.items() if figure is not None},
        losses=losses,
        leaks=summary.get("leaks"),
    )


def change_since(
    ours: Iterable[Mapping[str, Any]], theirs: Iterable[Mapping[str, Any]], suite: str = "recall"
) -> Figure | None:
    """Tuned minus the earlier release's tuned score over the questions that both were asked; None if there are none.

    Paired, with the cluster-robust standard error by document and the t distribution of clusters - 1 degrees of
    freedom (Cameron and Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015, section II).

    Args:
        ours: rows of this run's scores.jsonl.
        theirs: rows of the earlier release's.
        suite: whose questions are compared.
    """
    from scipy.stats import t

    before = {row["item_id"]: row["score"] for row in theirs if row["arm"] == "tuned" and row["suite"] == suite}
    sums: dict[str, list[float]] = {}
    for row in ours:
        if row["arm"] == "tuned" and row["suite"] == suite and row["item_id"] in before:
            sums.setdefault(row["document_id"], []).append(row["score"] - before[row["item_id"]])
    items = sum(len(gains) for gains in sums.values())
    if not items:
        return None
    mean = sum(sum(gains) for gains in sums.values()) / items
    clusters = len(sums)
    if clusters < 2:
        return Figure(estimate=mean, items=items)
    squares = sum(sum(gain - mean for gain in gains) ** 2 for gains in sums.values())
    error = math.sqrt(squares * clusters / (clusters - 1)) / items
    reach = float(t.ppf(0.975, clusters - 1)) * error
    return Figure(estimate=mean, low=mean - reach, high=mean + reach, items=items)


def _figure(value: Any) -> Figure | None:
    if isinstance(value, int | float):
        return Figure(estimate=float(value))
    if isinstance(value, Mapping) and isinstance(value.get("estimate"), int | float):
        return Figure.model_validate(value)
    return None


def _losses(streams: Mapping[str, Any]) -> dict[str, float]:
    values = {stream: value["loss"] if isinstance(value, Mapping) else value for stream, value in streams.items()}
    return {stream: float(value) for stream, value in values.items() if value is not None}
