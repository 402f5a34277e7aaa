"""Trains an adapter on a finished table, and has the arms answer the questions while the GPU is there.

It is what a GPU machine runs: the deployment `train-adapter/<pool>` takes references only, reads and writes the shared
store, and the run that started it finds the artifacts there under the keys it knows (see `compute.py`).
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.resolve import scheduled_start
from flows.watching import watched_in_prefect
from tasks.base.artifacts import Artifact
from tasks.base.ledger import ledger
from tasks.base.params import Params
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


class Questions(Params):
    """What the arms are asked, by reference."""

    documents: Artifact
    """The split."""
    chunks: Artifact
    """Raw text of both splits."""
    dialogues: Artifact
    """Dialogues of both splits."""
    items: Artifact
    """Guarded questions."""
    evaluation: EvaluationParams
    """Which arms, and how they answer."""


@flow(name="train-adapter")
def train_adapter(
    store: str, table: Artifact, model: Artifact, training: TrainingParams, questions: Questions | None = None
) -> State[Any]:
    """Trains one adapter, then answers the questions if there are any."""
    place = Store(store)
    place.check_writable()
    started = time.monotonic()
    with ledger(place, str(flow_run.id)) as book, watched_in_prefect():
        book.report.resolved["scheduled"] = scheduled_start().isoformat()
        try:
            adapter = train(place, table=table, model=model, params=on_this_machine(training))
            if questions is not None:
                answers(place, questions, model, adapter)
        finally:
            book.close(time.monotonic() - started)
    return Completed(message=adapter.uri)


def answers(
    store: Store, questions: Questions, model: Artifact, adapter: Artifact, by: Step[Any] = answer
) -> list[Artifact]:
    """One artifact per arm, in the order of the parameters."""
    return [
        by.named(f"answer-{arm}")(
            store,
            arm=arm,
            items=questions.items,
            chunks=questions.chunks,
            dialogues=questions.dialogues,
            documents=questions.documents,
            model=model,
            adapter=adapter if arm.is_tuned else None,
            params=questions.evaluation,
        )
        for arm in questions.evaluation.arms
    ]


def on_this_machine(training: TrainingParams) -> TrainingParams:
    """The same recipe with the price and the remaining hours of the machine it runs on, if it is a rented one."""
    changes: dict[str, float] = {}
    if price := os.environ.get(PRICE_VARIABLE):
        changes["usd_per_hour"] = float(price)
    if expiry := os.environ.get(EXPIRY_VARIABLE):
        remaining = max((float(expiry) - time.time()) / 3600 - WIND_UP_HOURS, WIND_UP_HOURS)
        changes["max_hours"] = min(training.max_hours or remaining, remaining)
    return training.model_copy(update=changes)
