"""The step and the flow that `orchestration.py` measures, importable by workers."""

from __future__ import annotations

import uuid
from pathlib import Path

from prefect import flow

from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store


def body(target: Path, number: int) -> None:
    """The work itself: one small file."""
    target.write_text(f"{number}\n", "utf-8")


@step("benchmark/make", "1")
def make(run: StepRun, number: int) -> None:
    """Makes the file as an artifact, and leaves a mark of its own per execution, so that doubled ones are seen."""
    body(run.path("number.txt"), number)
    marks = Path(f"{run.store.root.path}-done")
    marks.mkdir(exist_ok=True)
    (marks / f"{number}-{uuid.uuid4().hex}").touch()


@flow(name="small")
def small(store: str, number: int) -> None:
    """One run with one step."""
    make(Store(store), number=number)
