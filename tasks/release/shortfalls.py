"""Which bounds of the gate a run's questions are too few to decide, from the parameters, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tasks.figures.statistics import MIN_CLUSTERS, MIN_ITEMS, POWER, chance_to_pass, questions_needed
from tasks.release.measures import FORGETTING, RECALL
from tasks.release.params import GateParams

FLIPS: Final = 0.05
"""Share of general answers taken to turn from right to wrong or back in a model that forgot nothing."""


def shortfalls(params: GateParams, questions: Mapping[str, int]) -> list[str]:
    """Bounds that this number of questions cannot decide, a line each with its parameter and what would fit.

    Args:
        params: the bounds.
        questions: how many a run will ask, by suite (`recall`, `forgetting`).
    """
    if params.judge == "point":
        return []
    found = []
    recall, general = questions.get(RECALL, 0), questions.get(FORGETTING, 0)
    if params.asks_for_recall and chance_to_pass(1.0, params.min_recall_gain or 0.0, recall, 1.0) < POWER:
        found.append(
            f"gate.min_recall_gain: {recall} recall questions decide nothing, {MIN_ITEMS} of {MIN_CLUSTERS} documents "
            f"are needed; raise evaluation.items, or set it to null"
        )
    if params.asks_for_memory:
        bound = params.max_forgetting or 0.0
        if bound == 0:
            found.append("gate.max_forgetting: no number of questions shows a loss of exactly 0; raise it above")
        elif (chance := chance_to_pass(0.0, -bound, general, FLIPS)) < POWER:
            found.append(
                f"gate.max_forgetting: {bound:g} needs {questions_needed(bound, FLIPS)} general questions and "
                f"{general} are asked: a model that forgot nothing is refused in {1 - chance:.0%} of the cases if "
                f"{FLIPS:.0%} of its answers turn; raise evaluation.general_items{_fitting(general)}"
            )
    return found


def _fitting(general: int) -> str:
    """The tightest bound that this number of general questions can decide."""
    bounds = (step / 100 for step in range(1, 51))
    fits = next((bound for bound in bounds if chance_to_pass(0.0, -bound, general, FLIPS) >= POWER), None)
    return f", or gate.max_forgetting to {fits:g}" if fits else ", or set gate.max_forgetting to null"
