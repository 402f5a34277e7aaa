"""The study of a hyperparameter search: what is tried next, which trials end early, which one wins.

Optuna keeps it. Every draw is decided by the seed, the trial's number and the results before it, so a search that was
killed goes on as if it had not been: a trial without an end is taken up again under its number, and a study that was
lost is drawn again, its finished trials found in the store. One process at a time runs a study.

Its database lies at the address that the parameters give, or in an SQLite file of the store's cache. With an object
store the file is copied there after every trial, so that another machine can go on with the search. It is a cache: a
study that was lost is drawn again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.errors import BudgetError, InputError, Pruned, TrainingError
from tasks.base.locks import hold
from tasks.base.params import Params
from tasks.base.progress import Event, listening
from tasks.base.store import Store
from tasks.model.child import OutOfMemory
from tasks.training.params import Objective, Pruning, Sampler, SearchParams, TrainingParams
from tasks.training.validation import look_steps

TRIAL: Final = "training/trial"
"""The step whose looks are listened to."""


class Measured(NamedTuple):
    """What a finished trial came to."""

    value: float
    """The objective."""
    looks: list[float]
    """Held-out loss after each look."""
    adapter: Artifact
    general_loss: float | None = None
    """How far the loss on general text is above the base's at the end, in nats per token; null = not measured."""


class Tried(Params):
    """A trial as table and report show it."""

    number: int
    """From 0, in the order of drawing."""
    state: str
    """`complete`, `pruned`, `failed` or `open`."""
    settings: dict[str, float]
    """What was drawn, by name."""
    value: float | None
    """The objective; null unless complete."""
    looks: tuple[float, ...]
    """Held-out losses, in nats per token; fewer where a trial was pruned."""
    reason: str
    """Why it was pruned or failed."""
    general_loss: float | None = None
    """As of `Measured`."""


Trial = Callable[[TrainingParams], Measured]
"""Trains and measures one recipe. `Pruned`, `TrainingError`, `OutOfMemory` end the trial, other errors the search."""


def recipe(base: TrainingParams, settings: dict[str, float]) -> TrainingParams:
    """The training parameters of a trial."""
    rank = int(settings.get("rank", base.rank))
    changes: dict[str, Any] = {"rank": rank, "alpha": rank * settings.get("alpha_ratio", base.alpha / base.rank)}
    changes |= {name: int(settings[name]) for name in ("batch_size", "epochs") if name in settings}
    if "learning_rate" in settings:
        changes["learning_rate"] = settings["learning_rate"]
    return TrainingParams.model_validate(base.model_dump() | changes)


def grid(params: SearchParams) -> list[dict[str, float]]:
    """Every combination, in an order drawn by the seed."""
    lists = {name: sorted(set(values)) for name, values in params.lists.items()}
    points = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
    random.Random(params.search_seed).shuffle(points)
    return points


def study_name(params: SearchParams, base: TrainingParams, inputs: dict[str, Artifact]) -> str:
    """Equal for searches of the same space over the same data, however many trials they make."""
    document = {"search": params.identity(), "training": base.identity()}
    document["inputs"] = {name: artifact.sha256 for name, artifact in sorted(inputs.items())}
    return "rawtune-" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


class Study:
    """One search."""

    def __init__(self, params: SearchParams, base: TrainingParams, address: str, name: str) -> None:
        """Opens the study, or begins it.

        Args:
            params: space, sampler, pruning.
            base: what the trials do not change.
            address: SQLAlchemy's, of the database.
            name: of the study in it.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.params, self.base = params, base
        self._study = optuna.create_study(
            storage=_storage(address),
            study_name=name,
            load_if_exists=True,
            direction="maximize" if params.objective is Objective.RECALL else "minimize",
            pruner=_pruner(params),
        )

    @property
    def size(self) -> int:
        """Trials to make: as many as asked for, and for a grid no more than it has points."""
        grid_size = self.params.grid_size if self.params.sampler is Sampler.GRID else self.params.trials
        return min(self.params.trials, grid_size)

    def run(self, trial: Trial, usd_per_hour: float, after: Callable[[], None] = lambda: None) -> None:
        """Makes the trials that are left; finished ones are asked for again and come from the store.

        Args:
            trial: trains and measures.
            usd_per_hour: what the machine costs.
            after: called when a trial has ended.

        Raises:
            BudgetError: time or money is used up; what was tried is kept.
            TrainingError: no trial came to its end.
        """
        before = dict(enumerate(self.tried()))
        for number in range(self.size):
            state = before[number].state if number in before else "open"
            if state == "complete":
                trial(recipe(self.base, before[number].settings))
            elif state == "open":
                self._check_budget(number, usd_per_hour)
                self._make(number, trial)
                after()
        tried = self.tried()
        if not any(one.state == "complete" for one in tried):
            raise TrainingError(f"none of {self.size} trials came to its end; the first: {tried[0].reason}")

    def tried(self) -> list[Tried]:
        """Every trial so far, by number."""
        states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return [
            Tried(
                number=one.number,
                state=states.get(one.state.name, "open"),
                settings=_typed(one.params),
                value=one.value if one.state.name == "COMPLETE" else None,
                looks=tuple(self._sign * value for _, value in sorted(one.intermediate_values.items())),
                reason=one.user_attrs.get("reason", ""),
                general_loss=one.user_attrs.get("general_loss"),
            )
            for one in self._study.get_trials(deepcopy=False)
        ]

    def is_over(self) -> bool:
        """Whether every trial that is asked for has ended, one way or another."""
        tried = self.tried()[: self.size]
        return len(tried) == self.size and all(one.state != "open" for one in tried)

    def winner(self) -> Tried:
        """The best complete trial within `training.max_general_loss`; of equals the first.

        If none is within it, the one that forgets least.
        """
        bound = self.base.max_general_loss
        complete = [one for one in self.tried() if one.value is not None]
        within = [one for one in complete if bound is None or one.general_loss is None or one.general_loss <= bound]
        if not within:
            return min(complete, key=lambda one: (one.general_loss, one.number))
        return min(within, key=lambda one: (self._sign * (one.value or 0.0), one.number))

    @property
    def _sign(self) -> int:
        """Optuna compares looks in the direction of the objective: losses count as their negatives beside recall."""
        return -1 if self.params.objective is Objective.RECALL else 1

    def _make(self, number: int, trial: Trial) -> None:
        from optuna.trial import TrialState

        drawn = self._open(number)
        settings = _draw(drawn, self.params)
        began = time.monotonic()
        try:
            with listening(self._looks(drawn)):
                measured = trial(recipe(self.base, _typed(settings)))
        except Pruned as reason:
            self._end(drawn, TrialState.PRUNED, began, str(reason))
        except (TrainingError, OutOfMemory) as error:
            self._end(drawn, TrialState.FAIL, began, str(error))
        else:
            for look, loss in enumerate(measured.looks, 1):
                self._report(drawn, look, loss)
            if measured.general_loss is not None:
                drawn.set_user_attr("general_loss", measured.general_loss)
                if self.base.max_general_loss is not None:  # the sampler prefers what holds it
                    drawn.set_constraint("general_loss", measured.general_loss - self.base.max_general_loss)
            self._end(drawn, TrialState.COMPLETE, began, "", measured.value)

    def _open(self, number: int) -> Any:
        """The trial of that number: newly drawn, or the one that an interrupted search has left."""
        import optuna

        seed = int.from_bytes(hashlib.sha256(f"{self.params.search_seed}/{number}".encode()).digest()[:4])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.params.startup_trials)
        left = self._study.trials[number] if number < len(self._study.trials) else None
        if left is not None and left.state is optuna.trial.TrialState.RUNNING:
            return optuna.trial.Trial(self._study, left._trial_id)
        if left is None and self.params.sampler is Sampler.GRID:
            self._study.enqueue_trial(grid(self.params)[number])
        return self._study.ask()

    def _looks(self, drawn: Any) -> Callable[[Event], None]:
        def listen(event: Event) -> None:
            if event.step != TRIAL or "held_out_loss" not in event.facts:
                return
            look = look_steps(int(event.total or 0), self.params.looks).index(int(event.done)) + 1
            loss = float(event.facts["held_out_loss"])
            self._report(drawn, look, loss)
            if event.done != event.total and drawn.should_prune():
                raise Pruned(f"pruned at step {event.done:g} of {event.total:g}: held-out loss {loss:.4f}")

        return listen

    def _report(self, drawn: Any, look: int, loss: float) -> None:
        if look not in drawn.storage.get_trial(drawn._trial_id).intermediate_values:
            drawn.report(self._sign * loss, look)

    def _end(self, drawn: Any, state: Any, began: float, reason: str, value: float | None = None) -> None:
        drawn.set_user_attr("seconds", time.monotonic() - began)
        drawn.set_user_attr("reason", reason)
        self._study.tell(drawn, value, state=state)

    def _check_budget(self, number: int, usd_per_hour: float) -> None:
        hours = sum(one.user_attrs.get("seconds", 0.0) for one in self._study.get_trials(deepcopy=False)) / 3600
        limits = (("max_hours", hours, self.params.max_hours), ("max_usd", hours * usd_per_hour, self.params.max_usd))
        for name, used, limit in limits:
            if limit is not None and used >= limit:
                raise BudgetError(
                    f"search.{name}: {used:.2f} used of {limit:g} after {number} of {self.size} trials; raise it to "
                    f"go on, or set search.trials={number} to take the best so far"
                )


def _storage(address: str) -> Any:
    """SQLite does not wait for the disk: a killed process loses nothing; after a power cut the study is drawn again."""
    import sqlite3

    import optuna

    if not address.startswith("sqlite:///"):
        return optuna.storages.RDBStorage(address)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address.removeprefix("sqlite:///"), timeout=60, check_same_thread=False)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    return optuna.storages.RDBStorage(address, engine_kwargs={"creator": connect})


def _draw(drawn: Any, params: SearchParams) -> dict[str, float]:
    settings: dict[str, float] = {}
    for name, values in params.lists.items():
        choices = sorted(set(values))
        if name == "learning_rate" and params.sampler is Sampler.TPE and len(choices) > 1:
            settings[name] = drawn.suggest_float(name, choices[0], choices[-1], log=True)
        else:
            settings[name] = drawn.suggest_categorical(name, choices)
    return settings


def _typed(settings: dict[str, float]) -> dict[str, float]:
    """Settings as they are trained and shown: learning rates have three digits, so that they can be typed."""
    return {name: float(f"{value:.3g}") if name == "learning_rate" else value for name, value in settings.items()}


def _pruner(params: SearchParams) -> Any:
    import optuna

    if params.pruning is Pruning.NONE:
        return optuna.pruners.NopPruner()
    if params.pruning is Pruning.HALVING:
        return optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3)
    return optuna.pruners.MedianPruner(n_startup_trials=params.startup_trials)


@contextmanager
def study(
    store: Store, params: SearchParams, base: TrainingParams, name: str
) -> Iterator[tuple[Study, Callable[[], None]]]:
    """The study, held by this process alone, and what is to be called after each trial.

    Raises:
        InputError: the database cannot be opened.
    """
    with hold(store, f"search/{name}"):
        if params.storage:
            yield _opened(params, base, params.storage, name), lambda: None
            return
        file = store.local("cache", "search") / f"{name}.sqlite"
        remote = store.root / "cache" / "search" / file.name

        def keep() -> None:
            remote.parent.mkdir(parents=True, exist_ok=True)
            remote.write_bytes(file.read_bytes())

        if store.is_local:
            yield _opened(params, base, f"sqlite:///{file}", name), lambda: None
            return
        if remote.exists():
            with remote.open("rb") as reader, file.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
        yield _opened(params, base, f"sqlite:///{file}", name), keep


def tried_in_full(store: Store, params: SearchParams, base: TrainingParams, name: str) -> list[Tried] | None:
    """Every trial of a search that is over, by number; None if there is something left to try.

    Takes no lock and changes nothing, so that it does not wait for a machine that is at work on the search: a search
    that is over stays as it is.

    Raises:
        InputError: the database cannot be opened.
    """
    with tempfile.TemporaryDirectory() as folder:
        address = params.storage
        if address is None:
            kept = store.root / "cache" / "search" / f"{name}.sqlite"
            if not kept.exists():
                return None
            copy = Path(folder) / kept.name
            if not store.is_local:
                copy.write_bytes(kept.read_bytes())
            address = f"sqlite:///{kept.path if store.is_local else copy}"
        searched = _opened(params, base, address, name)
        return searched.tried() if searched.is_over() else None


def _opened(params: SearchParams, base: TrainingParams, address: str, name: str) -> Study:
    from sqlalchemy.exc import SQLAlchemyError

    failures: tuple[type[Any], ...] = (SQLAlchemyError, ImportError, OSError)
    try:
        return Study(params, base, address, name)
    except failures as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"search.storage: the study cannot be opened ({type(error).__name__}: {reason})") from error
