"""Answers and losses with the tiny model: every stream, any batch size, resuming, adapters that change nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.progress import Event, listening
from tasks.base.records import Answer, Dialogue, Document, Item, Split
from tasks.base.runs import read_json, read_records
from tasks.base.store import Store
from tasks.evaluation.answer import answer
from tasks.evaluation.citations import shown_by
from tasks.evaluation.losses import stream_losses
from tasks.evaluation.params import Arm, EvaluationParams, GeneralSuite, ItemsParams, Suite
from tasks.evaluation.report import report
from tasks.model.child import run_child
from tasks.text.general_text import general_texts
from tasks.text.loss_rows import LossRow
from tests.evaluation.conftest import adapter_of, artifact_of, asked_of, chunk

PARAMS = EvaluationParams(max_new_tokens=8, loss_tokens=200)
ASKED = ItemsParams(items=12, general_items=4, general_suites=(GeneralSuite.KNOWN_FACTS, GeneralSuite.HELLASWAG))


@pytest.fixture
def questions(train: list[Document], held_out: list[Document], talks: list[Dialogue]) -> list[Item]:
    """Questions about the small split and four general ones, two of them with choices."""
    return asked_of(train, held_out, ASKED)


@pytest.fixture
def inputs(
    store: Store,
    questions: list[Item],
    tiny_model_artifact: Artifact,
    train: list[Document],
    held_out: list[Document],
    talks: list[Dialogue],
) -> dict[str, Any]:
    """What the answer step reads, without arm and adapter."""
    chunks = [*(chunk(one, Split.TRAIN) for one in train), chunk(held_out[0], Split.HELD_OUT)]
    return {
        "items": artifact_of(store, records=questions),
        "chunks": artifact_of(store, records=chunks),
        "dialogues": artifact_of(store, records=talks),
        "documents": artifact_of(store, train=train, held_out=held_out),
        "model": tiny_model_artifact,
        "params": PARAMS,
    }


def test_arms_answer_all_items_and_an_adapter_without_effect_changes_nothing(
    store: Store, inputs: dict[str, Any], questions: list[Item], tiny_model: Path
) -> None:
    adapter = adapter_of(store, tiny_model, 0.0)
    base = answer.named("answer-base").direct(store, arm=Arm.BASE, adapter=None, **inputs)
    tuned = answer.named("answer-tuned").direct(store, arm=Arm.TUNED, adapter=adapter, **inputs)
    answers = list(read_records(store, base, Answer))
    assert [one.item_id for one in answers] == [item.id for item in questions]
    assert answers == list(read_records(store, tuned, Answer))
    assert base.counts["records"] == len(questions) > 8
    assert base.counts["tokens"] == sum(one.tokens for one in answers)
    assert all(one.text for one in answers if "hellaswag" in one.item_id)
    losses = read_json(store, base, "losses.json")
    assert sorted(losses["streams"]) == [
        "answers_held_out",
        "answers_train",
        "general_first_64",
        "general_loss",
        *(f"general_loss:{domain}" for domain in sorted(general_texts())),
        "raw_held_out",
        "raw_train",
    ]
    assert all(5 < stream["loss"] < 15 for stream in losses["streams"].values())
    same = read_json(store, tuned, "losses.json")
    assert same["streams"] == losses["streams"]
    assert (losses["kl_to_base"], same["kl_to_base"]) == (None, pytest.approx(0, abs=1e-6))
    made = report.direct(
        store, items=inputs["items"], answers=[base, tuned], adapter=adapter, table=None, params=PARAMS
    )
    summary = read_json(store, made, "summary.json")
    assert all(row["estimate"] == 0 for row in summary["differences"].values())
    assert summary["arms"]["guess"]["held-out"]["items"] > 0
    with store.open(made, "report.html") as reader:
        assert b"<polyline" in reader.read()


@pytest.mark.slow
def test_retrieval_arm_answers_the_questions_about_the_sources_only(
    store: Store, inputs: dict[str, Any], questions: list[Item]
) -> None:
    made = answer.named("answer-base-retrieval").direct(store, arm=Arm.BASE_RETRIEVAL, adapter=None, **inputs)
    sources = [item.id for item in questions if not item.suite.startswith("general-")]
    assert [one.item_id for one in read_records(store, made, Answer)] == sources
    shown = list(shown_by(store, made))
    assert [one.item_id for one in shown] == sources
    assert sum(bool(one.holding) for one in shown) > len(shown) / 2
    assert read_json(store, made, "losses.json")["streams"] == {}


def _job(tmp_path: Path, model: Path, **changed: Any) -> dict[str, Any]:
    prompts = [{"ids": list(range(20, 20 + length)), "limit": 6} for length in (3, 9, 4, 12, 5, 7)]
    rows = [
        {
            "id": str(length),
            "stream": "raw",
            "input_ids": list(range(30, 30 + length)),
            "labels": [-100, *range(31, 30 + length)],
        }
        for length in (4, 11, 6, 19)
    ]
    for name, records in (("prompts", prompts), ("rows", rows)):
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return {
        "model": str(model),
        "adapter": None,
        "prompts": str(tmp_path / "prompts"),
        "rows": str(tmp_path / "rows"),
        "finished": str(tmp_path / "finished"),
        "batch_tokens": 4096,
        "stop_ids": [2],
        "pad_id": 0,
        "precision": "float32",
        "kl_stream": None,
        **changed,
    }


def _run(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = run_child("tests.evaluation.several_job:run", {"requests": requests})["answers"]
    return answers


LENGTHS = (4, 11, 6, 19, 40, 3)
"""Tokens of the rows whose loss is measured in batches of several sizes."""


@pytest.fixture(scope="module")
def batched(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Answers and losses of one model in large, small and single batches; in one child, since torch takes long to
    start.
    """
    folder = tmp_path_factory.mktemp("batched")
    rows = [
        {"id": str(n), "stream": "raw", "input_ids": list(range(30, 30 + n)), "labels": [-100, *range(31, 30 + n)]}
        for n in LENGTHS
    ]
    request = {
        "requests": [
            _job(folder, tiny_model),
            _job(folder, tiny_model, batch_tokens=1, finished=str(folder / "other")),
        ],
        "model": str(tiny_model),
        "rows": rows,
        "batch_tokens": [1, 50, 4096],
        "dtypes": ["float32", "bfloat16"],
    }
    return run_child("tests.evaluation.several_job:run", request) | {"rows": rows}


def test_answers_do_not_depend_on_batch_sizes(batched: dict[str, Any]) -> None:
    together, alone = batched["answers"]
    assert (together["events"], alone["events"]) == (1, 6)
    assert together["answers"] == alone["answers"]


def test_loss_does_not_depend_on_the_batch_size_as_a_mean_of_batch_means_does(batched: dict[str, Any]) -> None:
    found = batched["losses"]
    rows = [LossRow(row["id"], "raw", row["input_ids"], row["labels"]) for row in batched["rows"]]
    for dtype, tolerance in (("float32", 1e-6), ("bfloat16", 2e-3)):
        alone, some, together = (stream_losses(rows, measured)["raw"]["loss"] for measured in found[dtype])
        assert alone == pytest.approx(together, rel=tolerance)
        assert some == pytest.approx(together, rel=tolerance)
        assert [row["tokens"] for row in found[dtype][1]] == [n - 1 for n in LENGTHS]
    # what a trainer logs: the mean over batches of each batch's mean; one row a batch against all in one
    rowwise = [row["nats"] / row["tokens"] for row in found["float32"][0]]
    naive = sum(rowwise) / len(rowwise)
    assert abs(naive - stream_losses(rows, found["float32"][0])["raw"]["loss"]) > 1e-3


class _PowerCut(Exception):
    pass


@pytest.mark.slow
def test_interrupted_evaluation_resumes_and_gives_the_same_bytes(store: Store, inputs: dict[str, Any]) -> None:
    small = {**inputs, "params": PARAMS.model_copy(update={"answer_batch_tokens": 64})}  # one prompt a batch

    def cut(event: Event) -> None:
        if event.kind == "progress" and event.done == 3:
            raise _PowerCut

    with pytest.raises(_PowerCut), listening(cut):
        answer.direct(store, arm=Arm.BASE, adapter=None, **small)
    (log,) = store.local("cache", "answers").rglob("finished.jsonl")
    kept = {line for line in log.read_text().splitlines() if line}
    assert len(kept) >= 3
    resumed = answer.direct(store, arm=Arm.BASE, adapter=None, **small)
    after = [line for line in log.read_text().splitlines() if line]
    assert kept < set(after)
    assert len(set(after)) == len(after)  # nothing was answered twice
    log.unlink()
    again = answer.named("answer-again").direct(store, arm=Arm.BASE, adapter=None, **small)
    assert again.sha256 == resumed.sha256


@pytest.mark.slow
def test_interrupted_evaluation_takes_finished_batches_from_the_log(tmp_path: Path, tiny_model: Path) -> None:
    (whole,) = _run(_job(tmp_path, tiny_model, batch_tokens=1))
    log = (tmp_path / "finished").read_text().split("\n")
    marked = [json.loads(line) for line in log if line]
    marked[0]["made"][0]["ids"] = [77]
    kept = "\n".join(json.dumps(entry) for entry in marked[:3]) + "\n" + log[4][:40]  # died while writing the fourth
    (tmp_path / "finished").write_text(kept)
    (resumed,) = _run(_job(tmp_path, tiny_model, batch_tokens=1))
    changed = [one for one, other in zip(resumed["answers"], whole["answers"], strict=True) if one != other]
    assert [one["ids"] for one in changed] == [[77]]  # the logged answer was used; nothing else differs
    assert len([line for line in (tmp_path / "finished").read_text().split("\n") if line]) == 3 + 1 + 3


def test_stream_loss_is_weighted_by_tokens_and_not_by_rows() -> None:
    rows = [LossRow("a", "raw", [], []), LossRow("b", "raw", [], []), LossRow("c", "", [], [])]
    measured = [{"nats": 10.0, "tokens": 1}, {"nats": 9.0, "tokens": 9}, {"nats": 5.0, "tokens": 5}]
    assert stream_losses(rows, measured) == {"raw": {"loss": 1.9, "tokens": 10, "rows": ["a", "b"]}}


@pytest.mark.slow
def test_adapter_of_noise_on_the_stub_is_called_worse(
    store: Store, train: list[Document], held_out: list[Document], talks: list[Dialogue]
) -> None:
    """That one without effect is called equal is seen with the tiny model, where it costs nothing."""
    from tasks.model.base_model import base_model
    from tasks.model.params import BaseModelParams

    model = base_model.direct(store, params=BaseModelParams())
    asked = asked_of(
        train,
        held_out,
        ItemsParams(items=1, suites=(Suite.RECALL,), general_items=24, general_suites=(GeneralSuite.KNOWN_FACTS,)),
    )
    params = EvaluationParams(max_new_tokens=8, loss_tokens=100)
    common: dict[str, Any] = {
        "items": artifact_of(store, records=asked),
        "chunks": artifact_of(store, records=[chunk(one, Split.TRAIN) for one in train]),
        "dialogues": artifact_of(store, records=talks),
        "documents": artifact_of(store, train=train, held_out=held_out),
        "model": model,
        "params": params,
    }
    adapter = adapter_of(store, store.checkout(model), 1.0)
    arms = [
        answer.named("answer-base").direct(store, arm=Arm.BASE, adapter=None, **common),
        answer.named("answer-tuned").direct(store, arm=Arm.TUNED, adapter=adapter, **common),
    ]
    made = report.direct(store, items=common["items"], answers=arms, adapter=adapter, table=None, params=params)
    summary = read_json(store, made, "summary.json")
    assert summary["arms"]["base"]["forgetting"]["estimate"] > 0.3
    assert summary["differences"]["forgetting"]["high"] < 0
    assert summary["kl_to_base"] > 1
    losses = {arm: streams["general_loss"]["loss"] for arm, streams in summary["losses"].items()}
    assert losses["tuned"] > losses["base"] + 1
