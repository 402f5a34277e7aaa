"""The study itself, on an objective that is a formula: what is drawn, pruned, resumed, reported. Trainings are in
tests/flows/test_search.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.base.artifacts import Artifact
from tasks.base.errors import BudgetError, InputError, TrainingError
from tasks.base.progress import Event, emit
from tasks.base.store import Store
from tasks.model.child import OutOfMemory
from tasks.training.params import Objective, Pruning, Sampler, SearchParams, TrainingParams
from tasks.training.search.study import Measured, Study, grid, recipe, study, study_name
from tasks.training.validation import look_steps

BASE = TrainingParams(rank=8, alpha=16)
SPACE = SearchParams(
    trials=6,
    rank=(4, 8, 16),
    alpha_ratio=(1.0, 2.0),
    batch_size=(),
    learning_rate=(1e-5, 1e-2),
    startup_trials=3,
    looks=2,
)
STEPS = 16
NOTHING = Artifact(step="tests/nothing", version="1", uri="", sha256="0" * 64, counts={})

Formula = Callable[[TrainingParams], float]


def quadratic(params: TrainingParams) -> float:
    """Best at rank 16 and a learning rate of 1e-3."""
    import math

    return (math.log10(params.learning_rate) + 3) ** 2 + 1 / params.rank


def trained(formula: Formula, done: list[TrainingParams]) -> Callable[[TrainingParams], Measured]:
    """A trial whose loss falls to the formula's value, look by look, as the trial's step would report it."""

    def trial(params: TrainingParams) -> Measured:
        done.append(params)
        steps = look_steps(STEPS, SPACE.looks)
        looks = [formula(params) + (STEPS - step) / STEPS for step in steps]
        for step, loss in zip(steps, looks, strict=True):
            emit(Event("training/trial", "progress", done=step, total=STEPS, facts={"held_out_loss": loss}))
        return Measured(looks[-1], looks, NOTHING)

    return trial


def searched(
    path: Path, params: SearchParams = SPACE, formula: Formula = quadratic
) -> tuple[Study, list[TrainingParams]]:
    done: list[TrainingParams] = []
    made = Study(params, BASE, f"sqlite:///{path}", "rawtune-test")
    made.run(trained(formula, done), 0.0)
    return made, done


def changed(**values: object) -> SearchParams:
    return SearchParams.model_validate(SPACE.model_dump() | values)


def test_tpe_draws_between_the_rates_and_finds_the_better_half(tmp_path: Path):
    made, done = searched(tmp_path / "a.sqlite", changed(trials=12))
    assert len(done) == 12
    assert all(
        1e-5 <= params.learning_rate <= 1e-2 and params.alpha in (params.rank, 2 * params.rank) for params in done
    )
    winner = made.winner()
    assert winner.value == min(one.value for one in made.tried() if one.value is not None)
    assert quadratic(recipe(BASE, winner.settings)) == pytest.approx(winner.value)
    assert {one.state for one in made.tried()} == {"complete", "pruned"}


@pytest.mark.parametrize(("bound", "wins"), [(0.05, lambda one: one.general_loss <= 0.05), (None, lambda one: True)])
def test_winner_is_the_best_within_the_general_loss(tmp_path: Path, bound: float | None, wins: Callable[..., bool]):
    """Ever higher rates teach more and forget more."""
    base = BASE.model_copy(update={"max_general_loss": bound})

    def trial(params: TrainingParams) -> Measured:
        return Measured(-params.learning_rate, [-params.learning_rate], NOTHING, 100 * params.learning_rate)

    made = Study(changed(pruning="none", looks=1), base, f"sqlite:///{tmp_path / 'a'}", "rawtune-test")
    made.run(trial, 0.0)
    held = [one for one in made.tried() if wins(one)]
    assert made.winner() == min(held, key=lambda one: one.value)
    assert (len(held) < len(made.tried())) is (bound is not None)


def test_of_trials_that_all_forget_too_much_the_one_that_forgets_least_wins(tmp_path: Path):
    base = BASE.model_copy(update={"max_general_loss": 1e-9})
    made = Study(changed(pruning="none", looks=1), base, f"sqlite:///{tmp_path / 'a'}", "rawtune-test")
    made.run(lambda params: Measured(1.0, [1.0], NOTHING, params.learning_rate), 0.0)
    assert made.winner() == min(made.tried(), key=lambda one: one.general_loss)


def test_same_seed_draws_the_same_trials_again_and_another_seed_others(tmp_path: Path):
    first, again, other = (
        [one.settings for one in searched(tmp_path / name, params)[0].tried()]
        for name, params in (("a", SPACE), ("b", SPACE), ("c", changed(search_seed=1)))
    )
    assert first == again != other


def test_median_pruning_ends_trials_that_are_worse_than_the_ones_before(tmp_path: Path):
    order: list[float] = []

    def worse_and_worse(params: TrainingParams) -> float:
        order.append(params.learning_rate)
        return float(len(order))

    made, _ = searched(tmp_path / "a", formula=worse_and_worse)
    states = [one.state for one in made.tried()]
    assert states[:3] == ["complete"] * 3
    assert states[3:] == ["pruned"] * 3
    pruned = made.tried()[3]
    assert (pruned.value, len(pruned.looks)) == (None, 1)
    assert pruned.reason.startswith("pruned at step 8 of 16: held-out loss")
    assert {one.state for one in searched(tmp_path / "b", changed(pruning=Pruning.NONE))[0].tried()} == {"complete"}


def test_grid_makes_every_point_once_and_no_more(tmp_path: Path):
    params = changed(sampler=Sampler.GRID, trials=100, pruning=Pruning.NONE)
    made, done = searched(tmp_path / "a", params)
    assert made.size == params.grid_size == 12 == len(done)
    assert sorted(sorted(one.settings.items()) for one in made.tried()) == sorted(
        sorted(point.items()) for point in grid(params)
    )
    assert made.winner().settings == {
        "rank": 16,
        "alpha_ratio": made.winner().settings["alpha_ratio"],
        "learning_rate": 1e-2,
    }


def test_recall_is_maximised_while_losses_still_prune_the_worse(tmp_path: Path):
    params = changed(objective=Objective.RECALL, pruning=Pruning.MEDIAN)
    made, _ = searched(tmp_path / "a", params)
    complete = [one for one in made.tried() if one.value is not None]
    assert made.winner().value == max(one.value for one in complete)
    assert complete[0].looks[0] > complete[0].looks[-1] > 0


def test_trials_are_resumed_where_the_search_was_interrupted(tmp_path: Path):
    whole, _ = searched(tmp_path / "whole")
    done: list[TrainingParams] = []
    inner = trained(quadratic, done)

    def interrupted(params: TrainingParams) -> Measured:
        if len(done) == 4:
            raise KeyboardInterrupt
        return inner(params)

    broken = Study(SPACE, BASE, f"sqlite:///{tmp_path / 'broken'}", "rawtune-test")
    with pytest.raises(KeyboardInterrupt):
        broken.run(interrupted, 0.0)
    assert [one.state for one in broken.tried()][-1] == "open"
    finished = [one.number for one in broken.tried() if one.state == "complete"]
    resumed, asked = searched(tmp_path / "broken")
    assert resumed.tried() == whole.tried()
    # finished trials are asked for again (their step answers from the store), pruned ones are not
    assert len(asked) == len(finished) + 6 - 4


def test_more_trials_go_on_with_the_same_study(tmp_path: Path):
    before = searched(tmp_path / "a", changed(trials=3))[0].tried()
    more, done = searched(tmp_path / "a", changed(trials=5))
    assert more.tried()[:3] == before
    assert len(done) == 5
    assert study_name(changed(trials=3), BASE, {"table": NOTHING}) == study_name(SPACE, BASE, {"table": NOTHING})


@pytest.mark.parametrize("error", [TrainingError("the loss diverges at step 7"), OutOfMemory("memory ran out")])
def test_trial_that_cannot_end_well_is_noted_and_the_search_goes_on(tmp_path: Path, error: Exception):
    def wild(params: TrainingParams) -> float:
        if params.rank == 16:
            raise error
        return quadratic(params)

    made, _ = searched(tmp_path / "a", formula=wild)
    failed = [one for one in made.tried() if one.state == "failed"]
    assert failed
    assert {one.reason for one in failed} == {str(error)}
    assert made.winner().settings["rank"] != 16


def test_search_without_a_finished_trial_fails_with_the_first_reason(tmp_path: Path):
    def wild(params: TrainingParams) -> float:
        raise TrainingError("the loss is not finite at step 1")

    with pytest.raises(TrainingError, match=r"none of 6 trials came to its end; the first: the loss is not finite"):
        searched(tmp_path / "a", formula=wild)


def test_budget_ends_the_search_and_keeps_what_was_tried(tmp_path: Path):
    params = changed(max_hours=1e-12)
    with pytest.raises(BudgetError, match=r"search\.max_hours: .* after 1 of 6 trials; raise it .* search\.trials=1"):
        searched(tmp_path / "a", params)
    made, _ = searched(tmp_path / "a", changed(trials=1))
    assert made.winner().number == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rank": (8,), "alpha_ratio": (), "learning_rate": ()}, "two values or more"),
        ({"rank": (0,)}, "greater than or equal to 1"),
        ({"trials": 0}, "greater than or equal to 1"),
        ({"storage": "postgresql+psycopg://me:secret@host/db"}, "leave the password out"),
    ],
)
def test_bad_space_is_refused(values: dict[str, object], message: str):
    with pytest.raises(ValidationError, match=message):
        changed(**values)


def test_storage_that_cannot_be_opened_is_an_input_error(store: Store):
    params = changed(storage="postgresql+psycopg://nobody@127.0.0.1:1/none")
    with (
        pytest.raises(InputError, match=r"search\.storage: the study cannot be opened"),
        study(store, params, BASE, "rawtune-test"),
    ):
        pass


def test_study_of_an_object_store_travels_to_another_machine(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    done: list[TrainingParams] = []
    for machine, trials in (("a", 3), ("b", 5)):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        place = Store(f"{s3_bucket}/{tmp_path.name}")
        with study(place, changed(trials=trials), BASE, "rawtune-test") as (made, after):
            assert len(made.tried()) == (0 if machine == "a" else 3)
            made.run(trained(quadratic, done), 0.0, after)
    assert len(made.tried()) == 5


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training.test_search import searched, quadratic
count = 0
def formula(params):
    global count
    count += 1
    if count == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return quadratic(params)
searched(Path(sys.argv[1]), formula=formula)
"""


def test_search_killed_in_the_middle_of_a_trial_goes_on_with_it(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "killed")], env=dict(os.environ), timeout=120)
    assert done.returncode == -signal.SIGKILL
    resumed, _ = searched(tmp_path / "killed")
    whole, _ = searched(tmp_path / "whole")
    assert resumed.tried() == whole.tried()


@pytest.mark.slow
def test_study_in_postgresql_is_resumed_from_another_process(store: Store):
    from tests.deployments.prefect_server import Postgres

    server = Postgres()
    try:
        place = server.url.replace("asyncpg", "psycopg")
        done: list[TrainingParams] = []
        with study(store, changed(trials=2, storage=place), BASE, "rawtune-test") as (few, after):
            few.run(trained(quadratic, done), 0.0, after)
            before = few.tried()
        with study(store, changed(storage=place), BASE, "rawtune-test") as (more, after):
            assert more.tried() == before
            more.run(trained(quadratic, done), 0.0, after)
        assert not list(store.local("cache").glob("search/*.sqlite"))
        assert server.psql("select count(*) from trials", "prefect") == "6"
        assert [one.settings for one in more.tried()] == [
            one.settings for one in searched(store.local("other") / "a.sqlite")[0].tried()
        ]
    finally:
        server.close()
