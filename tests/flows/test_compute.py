"""Where GPU steps run, as far as it can be told without a pool; the drills of tests/deployments have the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.compute import gpu_steps, is_written, writing_steps
from flows.mixing import Dataset, Unmixed, Unwritten
from flows.params import Phase, RetrainParams
from flows.train_adapter import on_this_machine
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError, StoreError
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.evaluation.answer import answer
from tasks.mixture.replay.sample import replay
from tasks.synthesis.study.written import written
from tasks.training.params import TrainingParams
from tasks.training.train import train

NOTHING = Artifact(step="tests/nothing", version="1", uri="", sha256="0" * 64, counts={})
DATA = Dataset(**dict.fromkeys(Dataset.model_fields, NOTHING))
PARAMS = RetrainParams.model_validate({"name": "post", "sources": [{"repo": "post"}]})


@step("tests/made", "1")
def made(run: StepRun, text: str) -> None:
    run.path("text").write_text(text, "utf-8")


def test_inline_steps_are_the_steps_themselves(store: Store):
    steps = gpu_steps(store, DATA, PARAMS, asks=True)
    assert (steps.train, steps.answer) == (train, answer)


def test_flow_over_a_made_adapter_refuses_to_train(store: Store):
    steps = gpu_steps(store, DATA, PARAMS, asks=True, trains=False)
    with pytest.raises(InputError, match="the store has no adapter of these parameters"):
        steps.train.direct(store, table=NOTHING, model=NOTHING, params=TrainingParams())


def test_step_handed_to_another_machine_is_asked_once_and_then_found(store: Store):
    asked: list[tuple[str, dict[str, Any]]] = []

    def elsewhere(key: str, arguments: dict[str, Any], is_made: Callable[[], bool]) -> None:
        assert not is_made()
        asked.append((key, arguments))
        made.direct(store, text="made there")
        assert is_made()

    handed = made.handed_to(elsewhere)
    first = handed.direct(store, text="made there")
    assert handed.direct(store, text="made there") == first == made.direct(store, text="made there")
    assert asked == [(made.key(text="made there"), {"text": "made there"})]


def test_step_handed_to_a_machine_that_left_nothing_fails(store: Store):
    with pytest.raises(StoreError, match=r"tests/made was done elsewhere, but .* does not have it"):
        made.handed_to(lambda key, arguments, is_made: None).direct(store, text="nothing")


def test_rented_machine_gives_its_price_and_its_remaining_hours(monkeypatch: pytest.MonkeyPatch):
    recipe = TrainingParams(max_hours=4)
    assert on_this_machine(recipe) == recipe
    monkeypatch.setenv("RAWTUNE_USD_PER_HOUR", "2.86")
    monkeypatch.setenv("RAWTUNE_EXPIRES", str(time.time() + 3600))
    rented = on_this_machine(recipe)
    assert rented.usd_per_hour == 2.86
    assert rented.max_hours == pytest.approx(0.95, abs=0.01)
    assert rented.identity() == recipe.identity()
    assert on_this_machine(TrainingParams(max_hours=0.5)).max_hours == 0.5


UNMIXED = Unmixed(
    **dict.fromkeys(("documents", "model", "chunks", "drafts"), NOTHING),
    dialogues=Unwritten(
        **dict.fromkeys(("facts", "calls", "writer"), NOTHING),
        synthesis=PARAMS.synthesis,
        corrections=None,
        feedback=None,
    ),
    corpus=(NOTHING,),
    weights=None,
    dataset=PARAMS.dataset,
    epochs=1,
    headline="post",
)


def studying(**more: Any) -> RetrainParams:
    document = {"name": "post", "sources": [{"repo": "post"}], "synthesis": {"methods": ["facts", "study"]}}
    for path, value in more.items():
        section, _, name = path.partition("__")
        document.setdefault(section, {})[name] = value  # type: ignore[attr-defined]
    return RetrainParams.model_validate(document)


def test_what_is_yet_to_be_written_reaches_another_machine_as_json():
    assert Unmixed.model_validate_json(UNMIXED.model_dump_json()) == UNMIXED


def test_inline_writing_steps_are_the_steps_themselves(store: Store):
    steps = writing_steps(store, UNMIXED, PARAMS, Phase.TRAIN)
    assert (steps.written, steps.replay) == (written, replay)
    rented = writing_steps(store, UNMIXED, studying(compute__pool="gpu"), Phase.TRAIN)
    assert rented.written.elsewhere is rented.replay.elsewhere is not None


def test_model_writes_where_a_gpu_is_or_where_it_is_told_to(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    assert not is_written(store, PARAMS)
    assert not caplog.messages
    assert not is_written(store, studying())
    assert caplog.messages == [
        "synthesis: no GPU here, so no model writes study material; `providers: {study: local}` insists"
    ]
    assert is_written(store, studying(synthesis__providers={"study": "local"}))
    assert is_written(store, studying(compute__pool="gpu"))
    gpu = tmp_path / "nvidia-smi"
    gpu.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771'\n")
    gpu.chmod(0o755)
    assert is_written(store, studying())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"synthesis__provider": "openai"}, r"synthesis\.providers: where `study` is written on a pool, .* no key for"),
        ({"synthesis__feedback": "/votes"}, r"synthesis\.feedback: /votes is a folder of this machine, which pool gpu"),
    ],
)
def test_what_a_pools_machine_cannot_make_is_refused(more: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        is_written(Store("memory://study"), studying(compute__pool="gpu", **more))
