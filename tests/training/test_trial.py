"""Trials that share a process and the base that it holds make what each makes alone."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil
import pytest
from prefect import flow

from tasks.base.artifacts import Artifact
from tasks.base.progress import Event, listening
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.model.child import run_child, staying
from tasks.training.params import TrainingParams
from tasks.training.search.trial import trial
from tests.conftest import _folder
from tests.training.conftest import ROWS, _table

RECIPE = {"rank": 4, "alpha": 8, "learning_rate": 1e-3, "epochs": 1, "batch_size": 2, "precision": "float32"}
RECIPE |= {"max_general_loss": None}
CHANGES = ({}, {"rank": 8, "learning_rate": 1e-2}, {"batch_size": 1, "seed": 7})


def is_trial(process: psutil.Process) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE and "tasks.model.child_main" in process.cmdline()


@step("tests/held-out", "1")
def held_out_rows(run: StepRun) -> None:
    row = {"stream": "raw", "input_ids": list(range(100, 130)), "labels": list(range(100, 130))}
    run.path("rows.jsonl").write_text(json.dumps(row) + "\n", "utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["fast", "trl"])
def test_trials_of_one_process_make_the_bytes_that_each_makes_alone(
    backend: str, tmp_path: Path, tiny_model: Path
) -> None:
    def tried(name: str, block: AbstractContextManager[None]) -> tuple[list[Artifact], set[int]]:
        store, processes = Store(str(tmp_path / name)), set()
        inputs = {"table": _table.direct(store, rows=ROWS, seed=0), "held_out": held_out_rows.direct(store)}
        inputs["model"] = _folder.direct(store, path=str(tiny_model))
        recipes = [TrainingParams.model_validate(RECIPE | {"backend": backend} | changes) for changes in CHANGES]

        def look(event: Event) -> None:
            if event.kind == "progress":  # other children are servers that tests share
                processes.update(one.pid for one in psutil.Process().children() if is_trial(one))

        with block, listening(look):
            return [trial.direct(store, **inputs, params=recipe, looks=2) for recipe in recipes], processes

    (together, one), (alone, several) = tried("together", staying()), tried("alone", nullcontext())

    assert (len(one), len(several)) == (1, len(CHANGES))
    assert [made.sha256 for made in together] == [made.sha256 for made in alone]
    assert len({made.sha256 for made in together}) == len(CHANGES)


@step("tests/count", "1")
def counted(run: StepRun, number: int) -> None:
    made = run_child("tests.model.jobs:count", {"what": "base"}, exclusive=False)
    run.path("uses.json").write_text(json.dumps([number, made["pid"], made["uses"]]), "utf-8")


@pytest.mark.slow
def test_steps_that_are_prefects_tasks_share_the_process_too(prefect_harness: None, store: Store) -> None:
    @flow
    def several() -> list[list[int]]:
        with staying():
            made = [counted(store, number=number) for number in range(3)]
        return [json.loads(store.open(one, "uses.json").read()) for one in made]

    found = several()
    assert len({pid for _, pid, _ in found}) == 1
    assert [uses for _, _, uses in found] == [1, 2, 3]
