"""The trials of a search, on whichever machine has the GPU: study ▶ trial, measured ▶ study ▶ …"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.resolve import scheduled_start
from flows.train_adapter import Questions, answers, on_this_machine
from flows.watching import watched_in_prefect
from tasks.base.artifacts import Artifact
from tasks.base.ledger import ledger
from tasks.base.modes import explaining
from tasks.base.params import Params
from tasks.base.runs import read_json
from tasks.base.steps import Step
from tasks.base.store import Store
from tasks.evaluation.report import report
from tasks.model.child import staying
from tasks.training.params import Objective, SearchParams, TrainingParams
from tasks.training.search import Measured, Tried, recipe, study_name
from tasks.training.study_file import study, tried_in_full
from tasks.training.trial import looked, loss_lines, trial


class Trials(Params):
    """What a machine needs to run a search's trials, by reference."""

    table: Artifact
    """The training table, without anything of held-out documents."""
    held_out: Artifact
    """Rows whose loss is measured."""
    model: Artifact
    """The base model."""
    training: TrainingParams
    """What the trials do not change."""
    search: SearchParams
    """Space, sampler, pruning, limits."""
    questions: Questions | None
    """What the trials are asked where recall is the objective."""

    @property
    def name(self) -> str:
        """Name of the study."""
        inputs = {"table": self.table, "held_out": self.held_out, "model": self.model}
        if self.questions and self.search.objective is Objective.RECALL:
            inputs["items"] = self.questions.items
        return study_name(self.search, self.training, inputs)


@flow(name="search-trials")
def search_trials(store: str, trials: Trials) -> State[Any]:
    """Makes a search's trials: what a GPU machine runs, started by `search-hyperparameters`."""
    place = Store(store)
    place.check_writable()
    started = time.monotonic()
    with ledger(place, str(flow_run.id)) as book, watched_in_prefect():
        book.report.resolved["scheduled"] = scheduled_start().isoformat()
        try:
            tried, best = run_trials(place, trials)
        finally:
            book.close(time.monotonic() - started)
    return Completed(message=f"trial {best.number} of {len(tried)} is the best")


def run_trials(store: Store, work: Trials, by: Step[Any] = trial) -> tuple[list[Tried], Tried]:
    """Every trial, and the winner; `by` is the trial's step, placed where it is to be done."""

    def measured(settings: TrainingParams) -> Measured:
        adapter = _adapter(store, work, settings, by)
        looks = looked(loss_lines(store, adapter))
        scores = _scores(store, work, adapter)
        if scores is None:
            return Measured(looks[-1], looks, adapter)
        recall = read_json(store, scores, "summary.json")["arms"]["tuned"]["recall"]["estimate"]
        return Measured(float(recall), looks, adapter)

    # where the trials' models are asked in between, that child needs the memory
    shared = staying() if work.search.objective is Objective.HELD_OUT_LOSS else nullcontext()
    with study(store, work.search, work.training, work.name) as (searched, after), shared:
        searched.run(measured, on_this_machine(work.training).usd_per_hour, after)
        return searched.tried(), searched.winner()


def is_tried(store: Store, work: Trials) -> bool:
    """Whether every trial has ended and the store has all that the complete ones made, so that no machine is needed."""
    tried = tried_in_full(store, work.search, work.training, work.name)
    if tried is None:
        return False
    with explaining() as found:
        for one in tried:
            if one.state == "complete":
                _scores(store, work, _adapter(store, work, recipe(work.training, one.settings), trial))
    return all(step.hit for step in found)


def _adapter(store: Store, work: Trials, settings: TrainingParams, by: Step[Any]) -> Artifact:
    return by(
        store,
        table=work.table,
        held_out=work.held_out,
        model=work.model,
        params=on_this_machine(settings),
        looks=work.search.looks,
    )


def _scores(store: Store, work: Trials, adapter: Artifact) -> Artifact | None:
    """The report of a trial's answers; None unless recall is the objective."""
    if work.search.objective is Objective.HELD_OUT_LOSS:
        return None
    assert work.questions is not None
    made = answers(store, work.questions, work.model, adapter)
    asked = work.questions
    return report(store, items=asked.items, answers=made, adapter=adapter, table=work.table, params=asked.evaluation)
