"""The step: documents of a split in, grounded dialogues of both sides out."""

from __future__ import annotations

from pathlib import Path

from tasks.base.records import Dialogue, Document, Kind, Split
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.synthesis.params import SynthesisParams
from tests.synthesis.conftest import MakeSplit, dialogues_of, document

README = """# Rocket

Rocket is a launcher for small payloads.

## Install

```sh
make install
```

## Parts

- engine
- tank

See [the manual](https://rocket.example/manual).
"""


def test_dialogues_of_both_sides_inherit_the_split_and_are_grounded(store: Store, make_split: MakeSplit) -> None:
    trained, held = document("README.md", README), document("engine.py", "def ignite():\n    return True\n")
    made = dialogues_of(store, documents=make_split([trained], [held]), params=SynthesisParams())
    records = list(read_records(store, made, Dialogue))
    documents = {record.id: record for record in (trained, held)}
    assert (
        made.counts["records"]
        == len(records)
        == sum(count for name, count in made.counts.items() if name.startswith("method:"))
    )
    assert {record.split for record in records if record.provenance.document_id == held.id} == {Split.HELD_OUT}
    assert {record.split for record in records if record.provenance.document_id == trained.id} == {Split.TRAIN}
    for record in records:
        first, last = record.provenance.span
        assert 1 <= first <= last <= documents[record.provenance.document_id].text.count("\n") + 1
        assert [message.role for message in record.messages] == ["user", "assistant"]


def test_dialogues_twice_of_equal_input_are_byte_identical(tmp_path: Path, make_split: MakeSplit, store: Store) -> None:
    split = make_split([document("README.md", README), document("a.txt", "hello\n")])
    first = dialogues_of(store, documents=split, params=SynthesisParams())
    other = Store(str(tmp_path / "other"))
    (tmp_path / "other" / "cas").mkdir(parents=True)
    Path(other.blob(split.sha256).path).symlink_to(store.blob(split.sha256).path)
    assert dialogues_of(other, documents=split, params=SynthesisParams()).sha256 == first.sha256


def test_markdown_of_a_repository_with_a_wiki_is_read_as_pages_too(store: Store, make_split: MakeSplit) -> None:
    split = make_split([document("README.md", README), document("Home", "# Home\n\nHome is a page.\n", Kind.WIKI)])
    made = dialogues_of(store, documents=split, params=SynthesisParams())
    pages = {
        record.provenance.document_id
        for record in read_records(store, made, Dialogue)
        if record.method.startswith("page_")
    }
    assert pages == {"octo/rocket/wiki/Home", "octo/rocket/file/README.md"}


def test_long_file_is_asked_for_in_parts_that_join_to_it(store: Store, make_split: MakeSplit) -> None:
    text = "".join(f"line {number}\n" for number in range(200)) + "x" * 500 + "\n"
    params = SynthesisParams(methods=("file_question",), max_answer_characters=400)
    made = dialogues_of(store, documents=make_split([document("long.txt", text)]), params=params)
    records = sorted(read_records(store, made, Dialogue), key=lambda record: record.provenance.span)
    bodies = [record.messages[1].content.split("```\n", 1)[1].removesuffix("\n```") for record in records]
    assert "\n".join(bodies) + "\n" + "x" * 500 + "\n" == text
    assert records[0].messages[1].content.startswith("As of December 2023, lines 1 to ")
    verdicts = list(read_verdicts(store, made))
    assert [(verdict.id, verdict.reason) for verdict in verdicts] == [
        ("octo/rocket/file/long.txt#L201", "answer-too-long")
    ]


def test_file_answer_is_dated_by_the_snapshot(store: Store, make_split: MakeSplit) -> None:
    params = SynthesisParams(methods=("file_question",))
    made = dialogues_of(store, documents=make_split([document("package.json", '{"name": "x"}\n')]), params=params)
    (record,) = read_records(store, made, Dialogue)
    assert record.messages[1].content == (
        'As of December 2023, the `package.json` file is as follows:\n\n```\n{"name": "x"}\n```'
    )


def test_empty_documents_make_verdicts_and_no_dialogues(store: Store, make_split: MakeSplit) -> None:
    documents: list[Document] = [document("a.md", "\n"), document("b.py", "")]
    made = dialogues_of(store, documents=make_split(documents), params=SynthesisParams())
    assert made.counts == {"records": 0, "verdict:empty-document": 3}
