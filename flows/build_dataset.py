"""Makes the training table and the questions, and stops there: for a look at the data before a GPU is paid for."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.params import RetrainParams
from flows.phases import Phase
from flows.retrain import run


@flow(name="build-dataset")
def build_dataset(params: RetrainParams) -> State[Any]:
    """Makes the training table and the questions, and stops there: for a look at the data before a GPU is paid for."""
    return run(params, Phase.DATASET)
