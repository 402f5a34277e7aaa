"""Runs the steps that need a GPU: here, or on another machine through `train-adapter/<pool>`.

References go there, artifacts come back through the store. The child run's idempotency key bears the training key, so
that a parent that is retried, or a second one of the same recipe, finds the child instead of paying for another.

Before a model is downloaded, a training that this machine could never finish is refused. The global concurrency limit
`gpu` says how many trainings the pools of a server may have at work at once: a pool's own limit is of one pool, this
one is of all of them. The run that starts a child holds the slot, not the child, because waiting for it on a rented
machine would be paid for. `python -m deployments.prefect.pools` makes the limit.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling
from upath import UPath

from flows.mixing import Dataset, Unmixed, Writing
from flows.params import Phase, RetrainParams
from flows.trials import Trials, is_tried, run_trials
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError, StoreError, TrainingError
from tasks.base.steps import Step, explanations
from tasks.base.store import Store
from tasks.evaluation.answer import answer
from tasks.training.params import SearchParams, TrainingParams
from tasks.training.plan.cards import CPU, this_machines
from tasks.training.plan.forecast import forecast, refuse_hopeless
from tasks.training.plan.shape import shape_of
from tasks.training.search.study import Tried
from tasks.training.search.trial import trial
from tasks.training.train import train

GPU_LIMIT: Final = "gpu"
BYTES_A_TOKEN: Final = 6
"""On the high side, so that fewer tokens are expected than there will be: source code has 3.6 characters a token."""
INLINE: Final = "inline"
LOCAL: Final = ("", "file", "local")
"""Protocols of folders of this machine."""
MAX_ATTEMPTS: Final = 3
"""A child whose machine was lost is started again so often in all; it goes on from its last checkpoint."""
POLL_SECONDS: Final = 5.0
SERVER_GONE_SECONDS: Final = 600.0
"""How long the Prefect server may not answer before waiting for the child is given up."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GpuSteps:
    """The steps that need a GPU, placed where the run's parameters say."""

    train: Step[Any]
    answer: Step[Any]


def gpu_steps(store: Store, data: Dataset, params: RetrainParams, asks: bool, trains: bool = True) -> GpuSteps:
    """The GPU steps of a run; `inline` leaves them in this process.

    Args:
        store: of the run.
        data: what the machine reads.
        params: of the run.
        asks: whether the arms answer in the same rental.
        trains: False: training may only find its adapter, for flows about one that a run has made before.

    Raises:
        InputError: when a step is called: the pool has no deployment or cannot read the store, or there is no adapter.
    """
    pool = params.compute.pool

    def refuse(key: str, arguments: dict[str, Any], is_made: Callable[[], bool]) -> None:
        raise InputError("training: the store has no adapter of these parameters; run `retrain` with them first")

    def on_pool(key: str, arguments: dict[str, Any], is_made: Callable[[], bool]) -> None:
        parameters = {
            "store": address(store),
            "data": data.model_dump(mode="json"),
            "training": params.training.model_dump(mode="json"),
            "evaluation": params.evaluation.model_dump(mode="json") if asks else None,
        }
        training_key = train.key(table=data.table, model=data.model, params=params.training)
        run_deployed(f"train-adapter/{pool}", store, parameters, params.training, training_key, is_made)

    inline = pool == INLINE
    return GpuSteps(
        train.handed_to(refuse) if not trains else train if inline else train.handed_to(on_pool),
        answer if inline else answer.handed_to(on_pool),
    )


def writing_steps(store: Store, unmixed: Unmixed, params: RetrainParams, until: Phase) -> Writing:
    """The steps in which a model writes.

    On a pool the run of `train-adapter/<pool>` that writes first goes on with dialogues, replay, table, training and
    answers, so that one rental does all; this process then finds them in the store.

    Args:
        store: of the run.
        unmixed: what the machine reads.
        params: of the run.
        until: the last phase that is asked of the machine.
    """
    if params.compute.pool == INLINE:
        return Writing()

    def on_pool(key: str, arguments: dict[str, Any], is_made: Callable[[], bool]) -> None:
        parameters = {
            "store": address(store),
            "data": unmixed.model_dump(mode="json"),
            "training": None if until is Phase.DATASET else params.training.model_dump(mode="json"),
            "evaluation": None if until in (Phase.DATASET, Phase.TRAIN) else params.evaluation.model_dump(mode="json"),
        }
        run_deployed(f"train-adapter/{params.compute.pool}", store, parameters, params.training, key, is_made)

    here = Writing()
    return Writing(here.written.handed_to(on_pool), here.replay.handed_to(on_pool))


def is_written(store: Store, params: RetrainParams) -> bool:
    """Whether a model writes study material; `auto` means only where a GPU, or a pool with one, is there.

    Raises:
        InputError: the pool's machine could not make the dialogues that stand beside it.
    """
    asked = params.synthesis.studies
    pool = params.compute.pool
    if asked is None:
        return False
    if asked == "auto" and pool == INLINE and this_machines() == CPU:
        logger.warning("synthesis: no GPU here, so no model writes study material; `providers: {study: local}` insists")
        return False
    if pool != INLINE and params.synthesis.by("openai"):
        raise InputError(
            "synthesis.providers: where `study` is written on a pool, its machine makes the dialogues and has no key "
            "for `openai`; use one of them, or compute.pool inline"
        )
    if not store.is_local and params.synthesis.feedback and UPath(params.synthesis.feedback).protocol in LOCAL:
        raise InputError(
            f"synthesis.feedback: {params.synthesis.feedback} is a folder of this machine, which pool {pool} cannot "
            f"read; put the votes into {store.uri}"
        )
    return True


def trials_on(pool: str, store: Store, work: Trials) -> tuple[list[Tried], Tried]:
    """A search's trials and the winner.

    On a pool one run makes all of them, and this process finds them in the store. A finished search starts no run.

    Raises:
        InputError: the pool has no deployment of `search-trials`, or cannot read the store.
        TrainingError: the run did not complete.
    """
    if pool == INLINE:
        return run_trials(store, work)
    if not is_tried(store, work):
        parameters = {"store": address(store), "trials": work.model_dump(mode="json")}
        key = f"{work.name}/{work.search.trials}"
        run_deployed(f"search-trials/{pool}", store, parameters, work.search, key, lambda: is_tried(store, work))

    def refuse(step_key: str, arguments: dict[str, Any], is_made: Callable[[], bool]) -> None:
        raise StoreError(f"the search on pool {pool} is done, but {store.uri} lacks one of its trials")

    return run_trials(store, work, trial.handed_to(refuse))


def run_deployed(
    name: str,
    store: Store,
    parameters: dict[str, Any],
    limits: TrainingParams | SearchParams,
    key: str,
    is_made: Callable[[], bool] = lambda: False,
) -> None:
    """Starts the child run of a deployment, or finds the one that is under way, and waits for its end.

    A child that crashed (its machine was lost) is started again; one that failed or was cancelled is not. Waits for a
    GPU to be free before, for as long as that takes (see `gpu_slot`).

    Args:
        name: of the deployment, `flow/pool`.
        store: which the pool must be able to read.
        parameters: of the child's flow.
        limits: hours and dollars of a rented machine.
        key: of the work; equal keys find each other's child.
        is_made: whether somebody else has done the work while this process waited for the GPU.

    Raises:
        InputError: the deployment or the limit is missing, or the pool cannot read the store.
        TrainingError: the child did not complete.
    """
    with get_client(sync_client=True) as client:
        variables = _check(client, name, store, limits)
        with gpu_slot():
            attempts = 0
            for number in itertools.count():
                if is_made():
                    return
                child = run_deployment(
                    name,
                    parameters=parameters,
                    job_variables=variables,
                    idempotency_key=f"{name}/{key}/{number}",
                    timeout=0,
                )
                assert isinstance(child, FlowRun)
                if child.state is not None and child.state.is_final():
                    continue  # an earlier run's; what it made was looked for in the store before
                attempts += 1
                state = _await_end(client, child)
                if state.is_completed():
                    return
                if state.type is not StateType.CRASHED or attempts == MAX_ATTEMPTS:
                    raise TrainingError(f"run {child.name} of {name} ended as {state.name}: {state.message or '-'}")
                logger.warning("%s of %s crashed (%s); starting it again", child.name, name, state.message)


def _check(client: SyncPrefectClient, name: str, store: Store, limits: TrainingParams | SearchParams) -> dict[str, Any]:
    """Job variables for the pool.

    Raises:
        InputError: see `run_deployed`.
    """
    try:
        deployment = client.read_deployment_by_name(name)
        pool = client.read_work_pool(str(deployment.work_pool_name))
    except ObjectNotFound:
        raise InputError(
            f"compute.pool: there is no deployment {name}; make it with `rawtune deploy`, or use `inline`"
        ) from None
    if pool.type != "lambda-cloud":
        return {}
    if store.is_local:
        raise InputError(
            f"store: {store.uri} is a folder of this machine, which pool {pool.name} cannot read; use s3://…"
        )
    variables = {"max_hours": limits.max_hours, "max_usd": limits.max_usd}
    return {variable: value for variable, value in variables.items() if value is not None}


def address(store: Store) -> str:
    """The store's address for other processes."""
    return str(store.root) if store.is_local else store.uri


def _await_end(client: SyncPrefectClient, child: FlowRun) -> State[Any]:
    """Polls until the child's state is final, and returns it; a server that is gone for a while only delays that."""
    answered = time.monotonic()
    try:
        while True:
            try:
                child = client.read_flow_run(child.id)
                answered = time.monotonic()
            except httpx.HTTPError:
                if time.monotonic() - answered > SERVER_GONE_SECONDS:
                    raise
            if child.state is not None and child.state.is_final():
                return child.state
            time.sleep(POLL_SECONDS)
    except BaseException as interruption:
        # A cancelled parent takes its child along at once. A parent that is merely stopped, say with its worker,
        # leaves it alone: whoever runs the parent again finds it.
        if isinstance(interruption, KeyboardInterrupt) or _is_cancelled(client):
            client.set_flow_run_state(child.id, Cancelling(message="The parent flow run was cancelled."))
        raise


def _is_cancelled(client: SyncPrefectClient) -> bool:
    if flow_run.id is None:
        return False
    state = client.read_flow_run(flow_run.id).state
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Waits for a free slot and holds it for the duration of the block.

    The slot is a lease that this process renews: it falls free five minutes after the process died. A renewal that
    does not get through, say while the server restarts, must not end a paid training, so it is only logged.

    Raises:
        InputError: the server has no such limit, and nothing would keep two machines from running.
    """
    try:
        with concurrency(GPU_LIMIT, strict=True, raise_on_lease_renewal_failure=False):
            yield
    except ConcurrencySlotAcquisitionError:
        raise InputError(
            f"compute.pool: the Prefect server has no global concurrency limit `{GPU_LIMIT}`; "
            "make it with `python -m deployments.prefect.pools`"
        ) from None


def check_before_download(store: Store, params: RetrainParams, documents: Artifact) -> None:
    """Refuses a training that a machine without a GPU could certainly not finish in time.

    Raises:
        InputError: the raw text alone would take far longer than `training.max_hours`.
    """
    hub = "/" in params.training.base_model and params.training.folder is None
    if explanations() is not None or not hub or params.compute.pool != "inline" or this_machines() != CPU:
        return
    try:
        shape = shape_of(params.training.base_model, params.training.revision)
    except InputError:  # not shaped like Llama, or no answer: whoever fetches the model says what is wrong
        return
    size = (store.blob(documents.sha256) / "train.jsonl").stat().st_size
    limit = params.dataset.train_tokens
    tokens = min(size // BYTES_A_TOKEN, limit) if limit else size // BYTES_A_TOKEN
    rows = max(1, tokens // params.dataset.max_tokens)
    refuse_hopeless(forecast(shape, params.training, tokens, rows, params.dataset.max_tokens, None, None))
