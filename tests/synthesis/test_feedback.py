"""Votes of the chat become training dialogues: liked or corrected, once, without secrets."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import InputError
from tasks.base.records import Dialogue, Message, Provenance, Split
from tasks.base.runs import StepRun, read_records, read_verdicts
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.synthesis.feedback import feedback, find_feedback

SECRET = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"


def vote(question: str, answer: str, **more: Any) -> dict[str, Any]:
    provenance = Provenance(
        document_id="post/feedback", revision="snapshot/x", span=(1, 1), prompt_version="feedback", model="tuned@x"
    )
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    made = Dialogue(
        id="post/feedback/1", messages=messages, method="feedback", provenance=provenance, split=Split.TRAIN
    )
    return made.model_dump(mode="json") | more


@step("tests/generated", "1")
def _generated(run: StepRun) -> None:
    lines = [Dialogue.model_validate(vote("q", "a", id=name, method="page_qa")) for name in ("a/x", "z/x")]
    run.write(lines)


def _written(folder: Path, **votes: list[dict[str, Any]]) -> str:
    folder.mkdir(exist_ok=True)
    for name, lines in votes.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder)


def test_feedback_liked_and_corrected_answers_join_the_dialogues(store: Store, tmp_path: Path) -> None:
    path = _written(
        tmp_path / "votes",
        liked=[vote("Where?", "Here."), vote("Where?", "Here."), vote("Key?", f"It is {SECRET}."), vote("Who?", " ")],
        disliked=[vote("Why?", "No idea."), vote("When?", "Never.", correction="In 2023.")],
    )
    params = find_feedback(path)
    assert params is not None
    made = feedback.direct(store, _generated.direct(store), params)
    found = list(read_records(store, made, Dialogue))
    assert [one.id for one in found] == sorted(one.id for one in found)
    added = {one.messages[0].content: one for one in found if one.method == "feedback"}
    assert {question: one.messages[-1].content for question, one in added.items()} == {
        "Where?": "Here.",
        "When?": "In 2023.",
    }
    assert added["When?"].provenance.model == "tuned@x+human"
    assert len(found) == 4
    assert [(verdict.id, verdict.reason) for verdict in read_verdicts(store, made)] == [
        ("disliked.jsonl:0000001", "disliked"),
        ("liked.jsonl:0000002", "duplicate"),
        ("liked.jsonl:0000003", "secret"),
        ("liked.jsonl:0000004", "empty"),
    ]
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in store.checkout(made).iterdir())


def test_feedback_no_folder_is_one_line(tmp_path: Path) -> None:
    assert find_feedback(None) is None
    with pytest.raises(InputError, match=r"synthesis\.feedback: .*holds neither"):
        find_feedback(str(tmp_path))


def test_feedback_line_that_is_no_vote_is_named(store: Store, tmp_path: Path) -> None:
    path = _written(tmp_path / "votes", liked=[vote("a", "b"), {"id": "x"}])
    params = find_feedback(path)
    assert params is not None
    with pytest.raises(InputError, match=r"line 2 of liked\.jsonl .* messages: Field required"):
        feedback.direct(store, _generated.direct(store), params)


def test_feedback_that_changes_during_the_run_is_not_trained_on(store: Store, tmp_path: Path) -> None:
    path = _written(tmp_path / "votes", liked=[vote("a", "b")])
    params = find_feedback(path)
    assert params is not None
    _written(tmp_path / "votes", liked=[vote("a", "b"), vote("c", "d")])
    with pytest.raises(InputError, match="changed while the run was under way"):
        feedback.direct(store, _generated.direct(store), params)
