"""Measures an adapter that an earlier run has made: other questions, arms or bounds without training again."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.params import RetrainParams
from flows.phases import Phase
from flows.retrain import run


@flow(name="evaluate-adapter")
def evaluate_adapter(params: RetrainParams) -> State[Any]:
    """Measures an adapter that an earlier run has made: other questions, arms or bounds without training again.

    Raises:
        InputError: the store has no adapter of these parameters.
    """
    return run(params, Phase.EVALUATE, trains=False)
