"""Facts and dialogues of issues, discussions and conversations."""

import pytest

from tasks.base.records import Dialogue, Document, Kind
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.synthesis.facts.step import facts
from tasks.synthesis.facts.threads import answer, fixed_versions, is_causal
from tasks.synthesis.params import SynthesisParams
from tasks.text.conversations import ACCEPTED, Post, posts_of, written
from tasks.text.facts import Fact
from tests.synthesis.conftest import MakeSplit, dialogues_of, document

REPORT = Post("Person 1", "2023-11-01", "The valves of the engine freeze at night. How do I keep them warm?")
CAUSE = Post("Person 2", "2023-11-02", "The reason is that the heater stops with the pump. I will look at it.")
SHIPPED = Post("Person 2", "2023-11-05", "Released as 2.1.0, it was not fixed in 2.0.9.")


def issue(number: int, title: str, posts: list[Post], kind: Kind = Kind.ISSUE, **meta: object) -> Document:
    about = {"number": number, "state": "closed", "closed_at": "2023-11-04T00:00:00Z", "labels": ["bug"]}
    text = f"# {title}\n\n{kind.capitalize()} #{number}, closed.\n\n{written(posts)}"
    found = document(str(number), text, kind, **(about | meta), entries=len(posts))
    return found.model_copy(update={"title": title})


def found_in(store: Store, make_split: MakeSplit, *documents: Document) -> dict[str, Fact]:
    made = facts.direct(store, documents=make_split(documents))
    return {one.kind: one for one in read_records(store, made, Fact) if one.document_id == documents[0].id}


def test_issue_says_what_why_and_what_fixed_it(store: Store, make_split: MakeSplit) -> None:
    frozen = issue(12, "The valves freeze at night", [REPORT, CAUSE, SHIPPED])
    pull = document(
        "30", "Keeps the heater on.\n\nFixes #12", Kind.PULL, number=30, merged_at="2023-11-04T00:00:00Z"
    ).model_copy(update={"title": "Heat the valves"})

    found = found_in(store, make_split, frozen, pull)

    assert {kind: (fact.subject, fact.values) for kind, fact in found.items()} == {
        "issue": ("#12", ("The valves freeze at night",)),
        "issue-number": ("The valves freeze at night", ("#12",)),
        "issue-report": (
            "The valves freeze at night",
            ("The valves of the engine freeze at night.", "How do I keep them warm?"),
        ),
        "issue-cause": ("#12", ("The reason is that the heater stops with the pump.",)),
        "issue-fix": ("#12", ("#30",)),
        "issue-version": ("#12", ("2.1.0",)),
    }
    assert found["issue-fix"].words == {"fix": "Heat the valves", "merged": "2023-11-04", "fixes": "#30"}
    assert found["issue-fix"].rests_on == (pull.id,)
    line = frozen.text.split("\n")[found["issue-cause"].span[0] - 1]
    assert line == CAUSE.text


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("`v1.23.1` is released with a fix. Please confirm.", ["1.23.1"]),
        ("**rocket v1.7.0** includes the fix and is now available.", ["1.7.0"]),
        ("Fixed in 0.24.1, thanks!", ["0.24.1"]),
        ("This was released as part of version 2.0.", ["2.0"]),
        ("This has to wait until Fuel 2.9 is released.", []),
        ("It isn't fixed in 1.2.3 as far as I see.", []),
        ("I use 1.2.3 with Python 3.11.", []),
    ],
)
def test_versions_that_are_said_to_have_the_fix(text: str, versions: list[str]) -> None:
    assert fixed_versions(text) == versions


def test_release_notes_say_the_version(store: Store, make_split: MakeSplit) -> None:
    frozen = issue(12, "The valves freeze at night", [REPORT])
    pull = document("30", "Fixes #12", Kind.PULL, number=30, merged_at="2023-11-04T00:00:00Z")
    notes = document("v2.1.0", "# 2.1\n\n* Heat the valves (#30)\n", Kind.RELEASE)
    assert found_in(store, make_split, frozen, pull, notes)["issue-version"].values == ("v2.1.0",)


def test_open_and_unplanned_issues_have_no_cause_and_no_fix(store: Store, make_split: MakeSplit) -> None:
    for meta in ({"state": "open"}, {"not_planned": True}):
        frozen = issue(12, "The valves freeze at night", [REPORT, CAUSE], **meta)
        assert found_in(store, make_split, frozen).keys() == {"issue", "issue-number", "issue-report"}


@pytest.mark.parametrize(
    ("sentence", "is_cause"),
    [
        ("The reason is that the heater stops with the pump.", True),
        ("This happens when the tank is full.", True),
        ("It fails because the valve is closed by default.", False),  # nothing tells it from the closing of an issue
        ("It fails because the pump stops.", True),
        ("Thanks for the report, the issue was reproduced.", False),
        ("I am closing this because nobody answered.", False),
    ],
)
def test_cause_is_what_a_sentence_says_of_itself(sentence: str, is_cause: bool) -> None:
    assert (is_causal(sentence)) is is_cause


SET = "Hi Person 1, set `valves.heating` to true in the configuration of the engine."


@pytest.mark.parametrize(
    ("posts", "answered"),
    [
        ([("Person 2", SET), ("Person 1", "Thanks, that works!")], True),
        ([("Person 2", SET), ("Person 1", "Thanks, but it still freezes.")], False),
        ([("Person 2", SET), ("Person 3", "Thanks, that works!")], False),
        (
            [("Person 2", "Which version of the engine do you use, and on which planet?"), ("Person 1", "Thanks!")],
            False,
        ),
        ([("Person 1", SET), ("Person 1", "Solved.")], False),
        ([("Person 2", "We will add a heater in one of the next releases."), ("Person 1", "Awesome, thanks!")], False),
        ([("Person 2", SET)], False),
    ],
)
def test_answer_is_what_the_asker_gave_thanks_for(posts: list[tuple[str, str]], answered: bool) -> None:
    thread = [REPORT, *(Post(author, "2023-11-02", text) for author, text in posts)]
    found = answer("Freezing valves", posts_of(written(thread)))
    assert (found.text if found else None) == (SET if answered else None)


def test_thanks_for_what_was_no_question_make_no_answer() -> None:
    wish = [REPORT._replace(text="A heater would be nice."), Post("Person 2", "2023-11-02", SET)]
    thread = posts_of(written([*wish, Post("Person 1", "2023-11-03", "Thanks!")]))
    assert answer("Heater", thread) is None
    assert answer("How do I heat it", thread) is not None


def test_accepted_answer_becomes_dialogues_in_the_askers_words(store: Store, make_split: MakeSplit) -> None:
    posts = [REPORT, Post("Person 2", "2023-11-02", SET, ACCEPTED)]
    talk = issue(40, "How do I keep valves warm?", posts, Kind.DISCUSSION)
    split = make_split([talk])

    made = dialogues_of(store, split, SynthesisParams(methods=("facts",), wordings=8))

    said = [one for one in read_records(store, made, Dialogue) if one.kind == "thread-answer"]
    text = SET.removeprefix("Hi Person 1, ")
    assert {one.messages[1].content for one in said} == {text, f"{text}\n\nSee discussion #40 of rocket."}
    asked = [one.messages[0].content for one in said]
    assert any("rocket" in question and question.endswith(f"\n\n{REPORT.text}") for question in asked)
    assert all("How do I keep valves warm?" in question for question in asked)
    lines = talk.text.split("\n")
    assert {"\n".join(lines[one.provenance.span[0] - 1 : one.provenance.span[1]]) for one in said} == {SET}
