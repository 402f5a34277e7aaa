"""The figures that a release rests on, and which bounds a run's questions are too few to decide.

The figures are read from the report's summary.json, so gate and model card see the report's numbers and compute none of
their own. `shortfalls` needs the parameters alone, before anything is spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from tasks.figures.statistics import MIN_CLUSTERS, MIN_ITEMS, POWER, chance_to_pass, decides, questions_needed
from tasks.release.params import GateParams

RECALL: Final = "recall"
"""The suite of facts that were trained."""
FORGETTING: Final = "forgetting"
"""The suite that sums up the general ones."""
FLIPS: Final = 0.05
"""Share of general answers taken to turn from right to wrong or back in a model that forgot nothing."""


class Figure(BaseModel):
    """A point estimate with its 95% interval; `low` and `high` are null where the report gives none."""

    model_config = ConfigDict(frozen=True)

    estimate: float
    low: float | None = None
    high: float | None = None
    items: int | None = None
    documents: int | None = None

    @property
    def decides(self) -> bool:
        """Whether it rests on enough questions of enough documents; not if nobody counted them."""
        return self.items is not None and decides(self.items, self.documents)

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
    released: str | None = None
    """Name of the released model that the report compares with; null = none."""
    change: Figure | None = None
    """Recall minus the released model's on the questions that both were asked; null = none was."""

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
    previous: Mapping[str, Any] = summary.get("previous") or {}
    losses = {arm: _losses(streams) for arm, streams in summary.get("losses", {}).items()}
    return Measures(
        scores=scores,
        differences={suite: figure for suite, figure in differences.items() if figure is not None},
        losses=losses,
        leaks=summary.get("leaks"),
        released=previous.get("name"),
        change=_figure(previous.get("differences", {}).get("recall")),
    )


def _figure(value: Any) -> Figure | None:
    if isinstance(value, int | float):
        return Figure(estimate=float(value))
    if isinstance(value, Mapping) and isinstance(value.get("estimate"), int | float):
        return Figure.model_validate(value)
    return None


def _losses(streams: Mapping[str, Any]) -> dict[str, float]:
    values = {stream: value["loss"] if isinstance(value, Mapping) else value for stream, value in streams.items()}
    return {stream: float(value) for stream, value in values.items() if value is not None}


def shortfalls(params: GateParams, questions: Mapping[str, int]) -> list[str]:
    """Bounds that this number of questions cannot decide, a line each, with what would fit.

    Args:
        params: the bounds.
        questions: how many a run will ask, by suite (`recall`, `forgetting`).
    """
    if params.judge == "point":
        return []
    lines = []
    recall, general = questions.get(RECALL, 0), questions.get(FORGETTING, 0)
    if params.asks_for_recall and chance_to_pass(1.0, params.min_recall_gain or 0.0, recall, 1.0) < POWER:
        lines.append(
            f"gate.min_recall_gain: {recall} recall questions decide nothing, {MIN_ITEMS} of {MIN_CLUSTERS} documents "
            f"are needed; raise evaluation.items, or set it to null"
        )
    if params.asks_for_memory:
        bound = params.max_forgetting or 0.0
        if bound == 0:
            lines.append("gate.max_forgetting: no number of questions shows a loss of exactly 0; raise it above")
        elif (chance := chance_to_pass(0.0, -bound, general, FLIPS)) < POWER:
            lines.append(
                f"gate.max_forgetting: {bound:g} needs {questions_needed(bound, FLIPS)} general questions and "
                f"{general} are asked: a model that forgot nothing is refused in {1 - chance:.0%} of the cases if "
                f"{FLIPS:.0%} of its answers turn; raise evaluation.general_items{_fitting(general)}"
            )
    return lines


def _fitting(general: int) -> str:
    """The tightest bound that this number of general questions can decide."""
    bounds = (step / 100 for step in range(1, 51))
    fits = next((bound for bound in bounds if chance_to_pass(0.0, -bound, general, FLIPS) >= POWER), None)
    return f", or gate.max_forgetting to {fits:g}" if fits else ", or set gate.max_forgetting to null"
