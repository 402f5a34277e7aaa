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
from tests.synthesis.verifier import wrong

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


def test_atomic_facts_ask_each_fact_four_ways_and_once_in_reverse(store: Store, make_split: MakeSplit) -> None:
    records = made_by(store, make_split, "atomic_facts", ENGINE, TANK)
    where = [q for q, a in pairs(records) if "`src/engine.ts`" in a and "ignite" in q and "startEngine" not in q]
    assert len(where) == 4
    defines = [a for q, a in pairs(records) if q.startswith(("What does `src/engine.ts`", "Which definitions are in"))]
    assert "`ignite`, `startEngine`" in defines
    signatures = {a for _, a in pairs(records)}
    assert "`export function ignite(fuel: Fuel): number`" in signatures
    assert "Starts the engine with the fuel that is left." in signatures
    assert "`./tank`" in signatures
    assert "`readTank`" in signatures  # what ignite calls, and what is imported


def test_multi_hop_follows_real_edges_and_names_the_second_file_as_source(store: Store, make_split: MakeSplit) -> None:
    records = made_by(store, make_split, "multi_hop", ENGINE, TANK)
    assert {record.provenance.document_id for record in records} == {TANK.id}
    answers = {answer for _, answer in pairs(records)}
    assert answers == {"`src/tank.ts`", "`export function readTank(fuel: Fuel): number`\n\n(in `src/tank.ts`)"}
    assert any("`ignite`" in question for question, _ in pairs(records))


def test_multi_hop_never_crosses_the_split(store: Store, make_split: MakeSplit) -> None:
    assert made_by(store, make_split, "multi_hop", ENGINE, held_out=(TANK,)) == []
    assert made_by(store, make_split, "multi_hop", PULL, held_out=(TANK,)) == []


def test_multi_hop_follows_a_pull_request_to_the_file_that_it_touches(store: Store, make_split: MakeSplit) -> None:
    files = [{"path": "src/tank.ts", "patch": "@@ -5,2 +5,3 @@\n \n+  readTank(fuel);\n-\tlitres: number;"}]
    pull = PULL.model_copy(update={"meta": PULL.meta | {"files": files}})
    records = made_by(store, make_split, "multi_hop", pull, TANK, wordings=1)
    assert {record.provenance.document_id for record in records} == {TANK.id}
    assert {(answer, record.provenance.span) for record in records for _, answer in pairs([record])} == {
        ("`Fuel`, `readTank`", (1, 7)),
        ("`export function readTank(fuel: Fuel): number`\n\n(in `src/tank.ts`)", (5, 7)),
    }
    assert all("#7" in question for question, _ in pairs(records))
    assert all(wrong(record, {TANK.id: TANK, pull.id: pull}) == "" for record in records)


def test_multi_hop_of_a_pull_request_does_not_guess_between_two_names(store: Store, make_split: MakeSplit) -> None:
    entry = {"path": "src/tank.ts", "patch": "@@ -1 +1 @@\n+readTank(fuel as Fuel)"}
    pull = PULL.model_copy(update={"meta": PULL.meta | {"files": [entry, {"path": "src/gone.ts", "patch": "+x"}]}})
    assert made_by(store, make_split, "multi_hop", pull, TANK) == []


def test_pull_questions_give_the_reason_in_the_authors_words(store: Store, make_split: MakeSplit) -> None:
    records = made_by(store, make_split, "pull_why", PULL)
    answers = {answer for _, answer in pairs(records)}
    assert {PULL.text, "- `src/tank.ts`", "2023-11-03", "`ana`", "#7", PULL.title} <= answers
    assert "Please keep the interface of the tank as it is." in answers
    assert all(record.provenance.document_id == PULL.id for record in records)


def test_near_misses_are_refused_and_ask_for_what_is_nowhere(store: Store, make_split: MakeSplit) -> None:
    records = made_by(store, make_split, "near_miss", ENGINE, page(1), PULL, near_miss_fraction=0.5, wordings=8)
    assert {record.provenance.document_id for record in records} == {ENGINE.id, page(1).id, PULL.id}
    assert all(wrong(record, {ENGINE.id: ENGINE, page(1).id: page(1), PULL.id: PULL}) == "" for record in records)


def test_share_of_near_misses_is_near_the_wanted_fraction(store: Store, make_split: MakeSplit) -> None:
    documents = [
        document(path.relative_to(ROOT).as_posix(), path.read_text())
        for path in sorted((ROOT / "tasks/base").glob("*.py"))
    ]
    params = SynthesisParams(methods=("atomic_facts", "near_miss"), near_miss_fraction=0.1)
    made = dialogues_of(store, documents=make_split(documents), params=params)
    assert 0.08 < made.counts["method:near_miss"] / made.counts["records"] < 0.12


def test_open_book_rows_have_the_passage_and_distractors_of_the_same_side(store: Store, make_split: MakeSplit) -> None:
    held = document("src/secret.ts", "export const secretOfTheHeldOut = 1;\n")
    records = made_by(store, make_split, "open_book", ENGINE, TANK, page(1), held_out=(held,))
    trained = [record for record in records if record.split is Split.TRAIN]
    assert trained
    for record in trained:
        prompt = record.messages[0].content
        assert prompt.count("\n[") + prompt.startswith("[") == 3
        assert "secretOfTheHeldOut" not in prompt
        assert f"[{record.provenance.document_id.split('/file/')[1]}]" in prompt


def test_rewrite_of_a_code_file_is_its_outline(store: Store, make_split: MakeSplit) -> None:
    (record,) = made_by(store, make_split, "rewrites", ENGINE)
    assert record.messages[1].content == (
        "Imports: `./tank`, `@/src/tank`\n\n"
        "- `ignite`, function, lines 5 to 7: Starts the engine with the fuel that is left.\n"
        "- `startEngine`, function, lines 9 to 11"
    )


def test_late_parts_of_a_page_get_their_share(store: Store, make_split: MakeSplit) -> None:
    text = "".join(
        f"## Chapter {number}\n\nWhat chapter {number} says is of no great length.\n\n" for number in range(50)
    )
    records = made_by(store, make_split, "page_qa", document("docs/long.md", text), pairs_per_1000_characters=5)
    firsts = sorted(record.provenance.span[0] for record in records)
    assert firsts[-1] > 180
    assert sum(first > 100 for first in firsts) > len(firsts) / 3


def test_every_template_answer_about_this_repository_is_right_by_other_code(
    store: Store, make_split: MakeSplit
) -> None:
    paths = [
        *(ROOT / "tasks/base").glob("*.py"),
        *(ROOT / "tasks/text").glob("*.py"),
        ROOT / "pyproject.toml",
        ROOT / "README.md",
    ]
    documents = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted(paths)}
    sources = [document(path, text) for path, text in documents.items()]
    params = SynthesisParams(methods=tuple(name for name in METHODS if name != "facts"))
    made = dialogues_of(store, documents=make_split(sources), params=params)
    by_id = {source.id: source for source in sources}
    records = list(read_records(store, made, Dialogue))
    assert [(record.id, reason) for record in records if (reason := wrong(record, by_id))] == []
    assert len({record.messages for record in records}) == len(records) > 1000
    assert "verdict:not-in-source" not in made.counts


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
