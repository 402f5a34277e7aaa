"""Everything that needs the GPU, in one rental: write, train, answer.

Where the training table is not yet complete, a model first writes study material and samples, and the table is made.
Then the adapter is trained and the arms answer the questions.

It is what a GPU machine runs: the deployment `train-adapter/<pool>` takes references only, reads and writes the shared
store, and the run that started it finds the artifacts there under the keys it knows (see `compute.py`).
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.mixing import Dataset, Unmixed, mixed
from flows.watching import recorded
from tasks.base.artifacts import Artifact
from tasks.base.steps import Step
from tasks.base.store import Store
from tasks.evaluation.answer import answer
from tasks.evaluation.params import EvaluationParams
from tasks.training.params import TrainingParams
from tasks.training.train import train

PRICE_VARIABLE: Final = "RAWTUNE_USD_PER_HOUR"
"""Set by whoever rents the machine: its price is known only once it is rented."""

EXPIRY_VARIABLE: Final = "RAWTUNE_EXPIRES"
"""Unix time at which the rented machine is given back."""

WIND_UP_HOURS: Final = 0.05
"""Training stops this much before the machine goes, so that the last checkpoint reaches the store."""


@flow(name="train-adapter")
def train_adapter(
    store: str,
    data: Dataset | Unmixed,
    training: TrainingParams | None,
    evaluation: EvaluationParams | None = None,
) -> State[Any]:
    """Completes `data`, trains an adapter unless `training` is null, has the arms of `evaluation` answer.

    A model writes what `data` still lacks: study material and replay.
    """
    with recorded(store) as (opened, _):
        if isinstance(data, Unmixed):
            data = mixed(opened, data)
        if training is None:
            return Completed(message=data.table.uri)
        adapter = train(opened, table=data.table, model=data.model, params=on_this_machine(training))
        if evaluation is not None:
            answers(opened, data, evaluation, adapter)
    return Completed(message=adapter.uri)


def answers(
    store: Store, data: Dataset, evaluation: EvaluationParams, adapter: Artifact, by: Step[Any] = answer
) -> list[Artifact]:
    """One artifact per arm, in the order of the parameters."""
    return [
        by.named(f"answer-{arm}")(
            store,
            arm=arm,
            items=data.items,
            chunks=data.chunks,
            dialogues=data.dialogues,
            documents=data.documents,
            model=data.model,
            adapter=adapter if arm.is_tuned else None,
            params=evaluation,
        )
        for arm in evaluation.arms
    ]


def on_this_machine(training: TrainingParams) -> TrainingParams:
    """The same recipe with the price and the remaining hours of the machine, if it is a rented one."""
    changes: dict[str, float] = {}
    if price := os.environ.get(PRICE_VARIABLE):
        changes["usd_per_hour"] = float(price)
    if expiry := os.environ.get(EXPIRY_VARIABLE):
        remaining = max((float(expiry) - time.time()) / 3600 - WIND_UP_HOURS, WIND_UP_HOURS)
        changes["max_hours"] = min(training.max_hours or remaining, remaining)
    return training.model_copy(update=changes)
