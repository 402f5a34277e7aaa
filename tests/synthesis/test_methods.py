"""What each method makes, with the template provider and with a model's reply."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.base.records import Dialogue, Document, Kind, Split
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.synthesis.dialogues import METHODS
from tasks.synthesis.facts.step import facts
from tasks.synthesis.index import Index
from tasks.synthesis.methods import Subject, asks
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.plan import estimate
from tests.emulators.openai_api import OpenAIEmulator
from tests.emulators.openai_api.replies import schema_name
from tests.synthesis.conftest import MakeSplit, asking, dialogues_of, document, page

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"

ENGINE = document(
    "src/engine.ts",
    "import { readTank } from './tank';\nimport type { Fuel } from '@/src/tank';\n\n"
    "/** Starts the engine with the fuel that is left. */\nexport function ignite(fuel: Fuel): number {\n"
    "\treturn readTank(fuel);\n}\n\nexport const startEngine = (seconds: number) => {\n\treturn ignite(seconds);\n};\n",
)
TANK = document(
    "src/tank.ts",
    "export interface Fuel {\n\tlitres: number;\n}\n\nexport function readTank(fuel: Fuel): number {\n"
    "\treturn fuel.litres;\n}\n",
)
PULL = Document(
    id="octo/rocket/pull/0000007",
    kind=Kind.PULL,
    repo="octo/rocket",
    revision="b" * 40,
    path="7",
    title="Burn kerosene instead of coal",
    url=None,
    text="Coal leaves ash in the valves.\n\nKerosene does not, and the valves stay open.",
    created_at="2023-11-01T00:00:00Z",
    updated_at="2023-11-03T00:00:00Z",
    meta={
        "number": 7,
        "state": "closed",
        "merged_at": "2023-11-03T08:00:00Z",
        "author": "ana",
        "labels": [],
        "comments": [{"author": "bo", "created_at": "2023-11-02T00:00:00Z", "body": "What about the price of it?"}],
        "reviews": [],
        "review_comments": [
            {
                "author": "bo",
                "path": "src/tank.ts",
                "line": 5,
                "body": "Please keep the interface of the tank as it is.",
            }
        ],
        "files": [
            {
                "path": "src/tank.ts",
                "status": "modified",
                "previous_path": None,
                "patch": "@@ -1 +1 @@\n-coal\n+kerosene",
            }
        ],
    },
)


def made_by(
    store: Store,
    make_split: MakeSplit,
    method: str,
    *documents: Document,
    held_out: tuple[Document, ...] = (),
    **more: object,
) -> list[Dialogue]:
    params = SynthesisParams.model_validate({"methods": (method,), "pairs_per_1000_characters": 50, **more})
    made = dialogues_of(store, documents=make_split(documents, held_out), params=params)
    return list(read_records(store, made, Dialogue))


def pairs(records: list[Dialogue]) -> set[tuple[str, str]]:
    return {(record.messages[0].content, record.messages[1].content) for record in records}


def test_open_book_rows_have_the_passage_and_distractors_of_the_same_side(store: Store, make_split: MakeSplit) -> None:
    held = document("src/secret.ts", "export const secretOfTheHeldOut = 1;\n")
    records = made_by(store, make_split, "open_book", ENGINE, TANK, page(1), held_out=(held,))
    trained = [record for record in records if record.split is Split.TRAIN]
    assert trained
    for record in trained:
        prompt = record.messages[0].content
        assert prompt.count("\n[") == 3
        assert "secretOfTheHeldOut" not in prompt
        cited = record.messages[1].content[-3:]
        assert f"\n{cited} {record.provenance.document_id.split('/file/')[1]}, lines " in prompt


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if asks(method)])
def test_prompt_is_the_golden_one(store: Store, make_split: MakeSplit, name: str) -> None:
    method = METHODS[name]
    assert asks(method)
    split = make_split([ENGINE, TANK, page(1), PULL])
    subject_of = {"pull_why": PULL, "page_qa": page(1), "page_instruction": page(1)}
    subject = Subject(subject_of.get(name, ENGINE), Split.TRAIN, name.startswith("page"), Index(store.checkout(split)))
    params = SynthesisParams(provider="openai", model="m", near_miss_fraction=0.5, genres=1, wordings=8)
    calls = list(method.calls(subject, params)) or list(
        method.calls(Subject(long(), Split.TRAIN, False, subject.index), params)
    )
    text = "\n".join(f"== {message.role}\n{message.content}" for message in calls[0].messages) + "\n== schema\n"
    text += json.dumps(calls[0].json_schema, indent=1) + "\n"
    golden = GOLDEN / f"{name}.txt"
    assert text == golden.read_text("utf-8")


def long() -> Document:
    return document("docs/long.txt", "A sentence that is repeated to be long enough for a rewrite of it.\n" * 8)


def test_model_written_dialogues_of_every_method_pass_curation(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    methods = tuple(name for name in METHODS if name != "open_book")
    params = asking(server, methods=methods, near_miss_fraction=0.3, genres=2)
    made = dialogues_of(store, documents=make_split([ENGINE, TANK, long(), page(1), PULL]), params=params)
    records = list(read_records(store, made, Dialogue))
    assert {record.method for record in records} == set(methods)
    assert {schema_name(received.body) for received in server.received} == {*methods, "judge", "judge_refusals"} - {
        "facts",
        "file_question",
    }
    models = {record.method: record.provenance.model for record in records}
    assert models.pop("facts") == "template"
    assert models.pop("file_question") == "template"
    assert set(models.values()) == {"gpt-5-mini"}
    assert {v.reason for v in read_verdicts(store, made)} <= {"near-duplicate", "duplicate", "unknown-identifier"}


def test_plan_counts_the_calls_that_are_then_made(store: Store, make_split: MakeSplit, server: OpenAIEmulator) -> None:
    split = make_split([ENGINE, TANK, long(), page(1), page(2), PULL])
    params = asking(server, methods=("page_qa", "page_instruction", "pull_why", "multi_hop"))
    planned = estimate(store, split, facts.direct(store, documents=split), params)
    dialogues_of(store, documents=split, params=params)
    made = {}
    for received in server.received:
        made[schema_name(received.body)] = made.get(schema_name(received.body), 0) + 1
    judged = made.pop("judge")
    assert {name: share.calls for name, share in planned.methods.items() if name != "judge"} == made
    assert judged <= planned.methods["judge"].calls  # a call whose drafts all fail the checks is not judged
    usd = sum((billed.input_tokens * 0.25 + billed.output_tokens * 2) / 1e6 for billed in server.billed)
    assert usd < planned.total.worst_usd
    assert planned.total.usd < planned.total.worst_usd
    assert set(planned.dialogue_tokens) == set(params.methods)
    again = estimate(store, split, facts.direct(store, documents=split), params)
    assert again.methods == {}
    assert again.cached == sum(made.values())
    assert again.dialogue_tokens == planned.dialogue_tokens
