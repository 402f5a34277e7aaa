"""Tries training settings over prepared data, then trains the best of them on all of it."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.compute import trials_on
from flows.params import Phase, RetrainParams
from flows.resolve import Resolved, headline
from flows.retrain import build_dataset, harvest, run
from flows.trials import Trials
from flows.watching import show_search
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tasks.evaluation.losses import held_out_rows
from tasks.mixture.params import HeldOut
from tasks.training.params import Objective
from tasks.training.search.report import search_report
from tasks.training.search.study import Tried, recipe


@flow(name="search-hyperparameters")
def search_hyperparameters(params: RetrainParams, until: Phase = Phase.EVALUATE) -> State[Any]:
    """Tries the settings of `search`, then retrains the winner with the held-out documents folded back.

    `until` is the last phase of that retraining; `dataset` ends the run with the search's report.
    """
    return run(params, until, choose=search)


def search(store: Store, params: RetrainParams, resolved: Resolved, page: RunReport) -> RetrainParams:
    """The parameters of the winner's retraining: its recipe, on all data. Notes the search in the run's report."""
    params = trained_on(params, HeldOut.NOTHING)
    harvested = harvest(store, params, resolved)
    data = build_dataset(store, params, harvested, resolved)
    held_out = held_out_rows(
        store, chunks=data.chunks, dialogues=data.dialogues, model=data.model, params=params.evaluation
    )
    asked = params.evaluation if params.search.objective is Objective.RECALL else None
    work = Trials(data=data, held_out=held_out, training=params.training, search=params.search, evaluation=asked)
    tried, best = trials_on(params.compute.pool, store, work)
    written = search_report(
        store,
        trials=[one.model_dump(mode="json") for one in tried],
        winner=best.number,
        params=params.search,
        headline=headline(params, resolved),
        max_general_loss=params.training.max_general_loss,
    )
    show_search(store, written)
    chosen = recipe(params.training, best.settings)
    changed = {name: getattr(chosen, name) for name in ("rank", "alpha", "batch_size", "learning_rate", "epochs")}
    page.resolved["search"] = {
        "summary": f"trial {best.number} of {len(tried)} won{_forgets(best)}",
        "training": changed,
        "page": f"{written.uri}/search.html",
    }
    return trained_on(params.model_copy(update={"training": chosen}), HeldOut.ALL)


def _forgets(best: Tried) -> str:
    return "" if best.general_loss is None else f", general loss {best.general_loss:+.3f} nats above base"


def trained_on(params: RetrainParams, held_out: HeldOut) -> RetrainParams:
    """The parameters with another rule for held-out documents."""
    mixture = params.dataset.mixture.model_copy(update={"train_held_out": held_out})
    return params.model_copy(update={"dataset": params.dataset.model_copy(update={"mixture": mixture})})
