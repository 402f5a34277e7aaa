"""Answers and losses with the tiny model: resuming, batch sizes, adapters that change nothing."""

import json

from tasks.base.records import Answer, Dialogue, Document, Split
from tasks.base.runs import read_json, read_records
from tasks.base.store import Artifact, Store
from tasks.evaluation.answer import answer
from tasks.evaluation.items import make_items
from tasks.evaluation.params import Arm, EvaluationParams, ItemsParams
from tasks.evaluation.report import report
from tests.evaluation.conftest import artifact_of, chunk


def test_base_arm_answers_every_item_and_measures_every_stream(
    store: Store, tiny_model_artifact: Artifact, train: list[Document], held_out: list[Document], talks: list[Dialogue]
) -> None:
    questions = make_items(train, held_out, talks, ItemsParams(items=12, general_items=5))
    items = artifact_of(store, records=questions)
    chunks = artifact_of(
        store, records=[*(chunk(one, Split.TRAIN) for one in train), chunk(held_out[0], Split.HELD_OUT)]
    )
    made = answer.named("answer-base").direct(
        store,
        arm=Arm.BASE,
        items=items,
        chunks=chunks,
        dialogues=artifact_of(store, records=talks),
        documents=artifact_of(store, train=train, held_out=held_out),
        model=tiny_model_artifact,
        adapter=None,
        params=EvaluationParams(max_new_tokens=8, loss_tokens=200),
    )
    answers = list(read_records(store, made, Answer))
    assert [one.item_id for one in answers] == [item.id for item in questions]
    assert made.counts["records"] == len(questions) > 5
    assert made.counts["tokens"] == sum(one.tokens for one in answers)
    losses = read_json(store, made, "losses.json")
    assert losses["arm"] == "base"
    assert sorted(losses["streams"]) == ["answers_held_out", "answers_train", "general", "raw_held_out", "raw_train"]
    assert all(5 < stream["loss"] < 15 for stream in losses["streams"].values())
    assert losses["kl_to_base"] is None
    page = report.direct(store, items=items, answers=[made], adapter=None, table=None, params=EvaluationParams())
    summary = read_json(store, page, "summary.json")
    assert summary["arms"]["base"]["recall"]["items"] > 0
    json.dumps(summary, allow_nan=False)
