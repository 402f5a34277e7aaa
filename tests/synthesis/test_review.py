"""Export, edit, import: human corrections survive new runs and are never applied to what they were not made for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Dialogue, Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.synthesis.corrections import Correction
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.review import export, import_edits, latest_corrections, reviewed
from tests.emulators.openai_api import OpenAIEmulator
from tests.synthesis.conftest import MakeSplit, asking, dialogues_of, document, page

PARAMS = SynthesisParams(methods=("page_qa", "page_instruction"))


@pytest.fixture
def split(make_split: MakeSplit) -> Artifact:
    return make_split([page(1), page(2)])


def edit(path: Path, changes: dict[str, dict[str, object]]) -> None:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps(line | changes.get(line["id"], {})) + "\n" for line in lines), "utf-8")


def by_id(store: Store, made: Artifact) -> dict[str, Dialogue]:
    return {record.id: record for record in read_records(store, made, Dialogue)}


def test_page_of_a_method_shows_source_lines_and_scores(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    documents = make_split([page(1)])
    made = dialogues_of(store, documents=documents, params=asking(server, methods=("page_qa", "page_instruction")))
    rows = list(reviewed(store, made, documents, method="page_qa", count=1))
    assert len(rows) == 1
    assert rows[0].dialogue.messages[1].content == rows[0].source
    assert rows[0].scores == {"grounded": "yes", "answers": "yes", "self_contained": "yes"}
    assert list(reviewed(store, made, documents, method="page_qa", start=1000)) == []


def test_edits_are_applied_with_the_editor_in_the_provenance(store: Store, split: Artifact, tmp_path: Path) -> None:
    made = dialogues_of(store, documents=split, params=PARAMS)
    first, second, *_ = by_id(store, made)
    path = tmp_path / "edited.jsonl"
    assert export(store, made, split, path) == made.counts["records"]
    edit(path, {first: {"answer": "Better."}, second: {"drop": True, "note": "dull"}})
    corrections = import_edits(store, made, path, editor="ana")
    assert corrections.counts == {"changed": 1, "dropped": 1, "records": 2}
    again = dialogues_of(store, documents=split, params=PARAMS, corrections=corrections)
    corrected = by_id(store, again)
    assert corrected[first].messages[1].content == "Better."
    assert corrected[first].provenance.model == "template+human:ana"
    assert second not in corrected
    assert [(verdict.id, verdict.reason, verdict.detail) for verdict in read_verdicts(store, again)] == [
        (second, "rejected-by-editor", "ana: dull")
    ]
    others = by_id(store, made).keys() - {first, second}
    assert all(corrected[identifier] == by_id(store, made)[identifier] for identifier in others)


def test_correction_of_a_correction_still_fits_the_machines_text(store: Store, split: Artifact, tmp_path: Path) -> None:
    made = dialogues_of(store, documents=split, params=PARAMS)
    first = next(identifier for identifier in by_id(store, made) if "#page_instruction/" in identifier)
    path = tmp_path / "edited.jsonl"
    for answer in ("Better.", "Best."):
        export(store, made, split, path, method="page_instruction")
        edit(path, {first: {"answer": answer}})
        import_edits(store, made, path, editor="ana")
        made = dialogues_of(store, documents=split, params=PARAMS, corrections=latest_corrections(store))
        assert by_id(store, made)[first].messages[1].content == answer


def test_correction_of_a_changed_document_is_stale_and_not_applied(
    store: Store, split: Artifact, make_split: MakeSplit, tmp_path: Path
) -> None:
    made = dialogues_of(store, documents=split, params=PARAMS)
    whole = next(record for record in by_id(store, made).values() if record.method == "page_instruction")
    path = tmp_path / "edited.jsonl"
    path.write_text(json.dumps({"id": whole.id, "answer": "Short.", "note": "shortened"}), "utf-8")
    corrections = import_edits(store, made, path, editor="ana")
    changed: list[Document] = [document(doc.path, doc.text + "\nOne more line.\n") for doc in (page(1), page(2))]
    again = dialogues_of(store, documents=make_split(changed), params=PARAMS, corrections=corrections)
    assert by_id(store, again)[whole.id].messages[1].content.endswith("One more line.")
    assert ("correction-stale", whole.id) in {(verdict.reason, verdict.id) for verdict in read_verdicts(store, again)}


def test_dropped_dialogue_comes_back_when_its_line_is_imported_again(
    store: Store, split: Artifact, tmp_path: Path
) -> None:
    made = dialogues_of(store, documents=split, params=PARAMS)
    first = next(iter(by_id(store, made)))
    path = tmp_path / "edited.jsonl"
    for drop in (True, False):
        path.write_text(json.dumps({"id": first, "drop": drop}), "utf-8")
        import_edits(store, made, path, editor="ana")
        made = dialogues_of(store, documents=split, params=PARAMS, corrections=latest_corrections(store))
        assert (first in by_id(store, made)) is not drop


def test_corrections_of_another_repository_change_nothing(
    store: Store, split: Artifact, make_split: MakeSplit, tmp_path: Path
) -> None:
    made = dialogues_of(store, documents=split, params=PARAMS)
    path = tmp_path / "edited.jsonl"
    path.write_text(json.dumps({"id": next(iter(by_id(store, made))), "answer": "Better."}), "utf-8")
    corrections = import_edits(store, made, path, editor="ana")
    other = make_split([document("README.md", "# Boat\n\nA boat floats on the water.\n", repo="octo/boat")])
    plain = dialogues_of(store, documents=other, params=PARAMS)
    corrected = dialogues_of(store, documents=other, params=PARAMS, corrections=corrections)
    assert plain.counts["records"] > 0
    assert corrected.sha256 == plain.sha256


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: JSON"),
        ('{"question": "x"}', "line 1: id: Field required"),
        ('{"id": "nobody", "answer": "x"}', "line 1 names nobody"),
    ],
)
def test_unusable_edit_names_file_and_line(
    store: Store, split: Artifact, tmp_path: Path, line: str, message: str
) -> None:
    made = dialogues_of(store, documents=split, params=PARAMS)
    path = tmp_path / "edited.jsonl"
    path.write_text(line, "utf-8")
    with pytest.raises(InputError, match=message) as error:
        import_edits(store, made, path, editor="ana")
    assert "edited.jsonl" in str(error.value)


def test_unchanged_export_makes_no_corrections(store: Store, split: Artifact, tmp_path: Path) -> None:
    made = dialogues_of(store, documents=split, params=PARAMS)
    export(store, made, split, tmp_path / "same.jsonl")
    found = import_edits(store, made, tmp_path / "same.jsonl", editor="ana")
    assert list(read_records(store, found, Correction)) == []
