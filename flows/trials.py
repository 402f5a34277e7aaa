"""The trials of a search, on whichever machine has the GPU: study ▶ trial, measured ▶ study ▶ …"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.mixing import Dataset
from flows.train_adapter import answers, on_this_machine
from flows.watching import recorded
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.params import Params
from tasks.base.runs import read_json
from tasks.base.steps import Step, explaining
from tasks.base.store import Store
from tasks.evaluation.params import EvaluationParams, Suite
from tasks.evaluation.report import report
from tasks.training.params import Objective, SearchParams, TrainingParams
from tasks.training.search.study import Measured, Tried, recipe, study, study_name, tried_in_full
from tasks.training.search.trial import general_loss, looked, loss_lines, trial


class Trials(Params):
    """What a machine needs to run a search's trials, by reference."""

    data: Dataset
    """Its table has nothing of held-out documents."""
    held_out: Artifact
    """Rows whose loss is measured."""
    training: TrainingParams
    """What the trials do not change."""
    search: SearchParams
    """Space, sampler, pruning, limits."""
    evaluation: EvaluationParams | None
    """How the trials are asked where recall is the objective."""

    @property
    def name(self) -> str:
        """Name of the study."""
        inputs = {"table": self.data.table, "held_out": self.held_out, "model": self.data.model}
        if self.search.objective is Objective.RECALL:
            inputs["items"] = self.data.items
        return study_name(self.search, self.training, inputs)


@flow(name="search-trials")
def search_trials(store: str, trials: Trials) -> State[Any]:
    """Makes a search's trials: what a GPU machine runs, started by `search-hyperparameters`."""
    with recorded(store) as (opened, _):
        tried, best = run_trials(opened, trials)
    return Completed(message=f"trial {best.number} of {len(tried)} is the best")


def run_trials(store: Store, work: Trials, by: Step[Any] = trial) -> tuple[list[Tried], Tried]:
    """Every trial, and the winner; `by` is the trial's step, placed where it is to be done."""

    def measured(settings: TrainingParams) -> Measured:
        adapter = _adapter(store, work, settings, by)
        lines = loss_lines(store, adapter)
        looks, general = looked(lines), general_loss(lines)
        scores = _scores(store, work, adapter)
        if scores is None:
            return Measured(looks[-1], looks, adapter, general)
        figures = read_json(store, scores, "summary.json")["arms"]["tuned"]
        if Suite.RECALL not in figures:
            raise InputError(
                "search.objective: recall: no question about trained facts is asked; raise evaluation.items or "
                "dataset.train_tokens, or choose held-out-loss"
            )
        return Measured(float(figures[Suite.RECALL]["estimate"]), looks, adapter, general)

    with study(store, work.search, work.training, work.name) as (searched, after):
        searched.run(measured, on_this_machine(work.training).usd_per_hour, after)
        return searched.tried(), searched.winner()


def is_tried(store: Store, work: Trials) -> bool:
    """Whether every trial has ended and the store holds what the complete ones made: no machine is needed."""
    tried = tried_in_full(store, work.search, work.training, work.name)
    if tried is None:
        return False
    with explaining() as explained:
        for one in tried:
            if one.state == "complete":
                _scores(store, work, _adapter(store, work, recipe(work.training, one.settings), trial))
    return all(step.hit for step in explained)


def _adapter(store: Store, work: Trials, settings: TrainingParams, by: Step[Any]) -> Artifact:
    # a trial shows what its settings forget: the bound decides which of them wins, not where one of them ends
    return by(
        store,
        table=work.data.table,
        held_out=work.held_out,
        model=work.data.model,
        params=on_this_machine(settings).model_copy(update={"max_general_loss": None}),
        looks=work.search.looks,
    )


def _scores(store: Store, work: Trials, adapter: Artifact) -> Artifact | None:
    """The report of a trial's answers; None unless recall is the objective."""
    if work.search.objective is Objective.HELD_OUT_LOSS:
        return None
    assert work.evaluation is not None
    data = work.data
    answered = answers(store, data, work.evaluation, adapter)
    return report(store, items=data.items, answers=answered, adapter=adapter, table=data.table, params=work.evaluation)
