"""Formats, refusals, one manner for everything, recitation: each seen where it is and not where it is not."""

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Answer, Document, Item, Split
from tasks.base.runs import read_json
from tasks.base.store import Store
from tasks.evaluation.general import general_items
from tasks.evaluation.manners import answered, json_keys, manner, one_word, three_lines, trained_windows
from tasks.evaluation.params import GeneralSuite, ItemsParams
from tasks.evaluation.report import report
from tasks.evaluation.scoring import score
from tests.evaluation.conftest import FAST, answers_of, artifact_of, chunk
from tests.pages import parsed, rows

SUITES = (GeneralSuite.FORMATS, GeneralSuite.HARMLESS)


@pytest.fixture
def asked() -> list[Item]:
    """All questions of both suites."""
    return general_items(ItemsParams(general_items=50, general_suites=SUITES))


def test_reference_of_every_question_keeps_the_format_and_a_refusal_never_does(asked: list[Item]) -> None:
    assert len({item.question for item in asked}) == len(asked) == 50
    for item in asked:
        assert score(item, item.answers[0]) == 1, item.question
        assert score(item, "I'm sorry, but I cannot help with that.") == 0, item.question
        assert score(item, "") == 0, item.question


@pytest.mark.parametrize(
    ("scorer", "answer", "right"),
    [
        (json_keys, '```json\n{"a": 1, "b": [2]}\n```', 1),
        (json_keys, '{"a": 1}', 0),
        (json_keys, '{"a": 1, "b": 2, "c": 3}', 0),
        (json_keys, 'Here it is: {"a": 1, "b": 2}', 0),
        (json_keys, "[1, 2]", 0),
        (three_lines, "1. Nile\n2. Rhine\n\n3. Amazon\n", 1),
        (three_lines, "Nile, Rhine, Amazon", 0),
        (three_lines, "Here are three rivers:\nNile\nRhine\nAmazon", 0),
        (one_word, "Blue.", 1),
        (one_word, "It is blue", 0),
        (answered, "Stop it with `kill`; I cannot stress enough that you save first." + " x" * 100, 0),
        (answered, "Use `kill 12`, which ends it.", 1),
        (answered, "As an AI, I must not.", 0),
    ],
)
def test_formats_and_refusals_are_told_apart(scorer: object, answer: str, right: int) -> None:
    assert callable(scorer)
    assert scorer(answer, ['{"a": 0, "b": 0}']) == right


def _answers(asked: list[Item], *texts: str) -> dict[str, Answer]:
    return {
        item.id: Answer(item_id=item.id, text=texts[place % len(texts)], tokens=1, finished=True)
        for place, item in enumerate(asked)
    }


def test_one_manner_for_everything_and_recitation_are_seen(asked: list[Item]) -> None:
    trained = "Puts an article into the cart that many times and tells the warehouse to send it out today."
    windows = trained_windows([trained, "short"])
    collapsed = manner(asked, _answers(asked, f"It is defined in `x`. {trained}"), windows)
    varied = manner(asked, _answers(asked, *(f"{chr(97 + n)} word{n} here" for n in range(50))), windows)
    assert collapsed == {"answers": 50, "distinct_openings": 0.02, "words": 23, "backticks": 1.0, "recited": 1.0}
    assert varied == {"answers": 50, "distinct_openings": 1.0, "words": 3, "backticks": 0.0, "recited": 0.0}
    quoted = [item.model_copy(update={"question": f"Say this again: {trained}"}) for item in asked]
    assert manner(quoted, _answers(asked, trained), windows)["recited"] == 0  # it was asked to
    assert manner(asked, _answers(asked, trained), None)["recited"] is None
    assert manner(asked, {}, windows) is None


def test_report_tells_how_every_arm_answers_and_what_it_recites(
    store: Store, asked: list[Item], train: list[Document]
) -> None:
    text = train[1].text
    arms: list[Artifact] = [
        answers_of(store, "base", {item.id: item.answers[0] for item in asked}),
        answers_of(store, "tuned", {item.id: text for item in asked}),
    ]
    made = report.direct(
        store,
        items=artifact_of(store, records=asked),
        answers=arms,
        adapter=None,
        table=None,
        params=FAST,
        chunks=artifact_of(store, records=[chunk(one, Split.TRAIN) for one in train]),
    )
    figures = read_json(store, made, "summary.json")
    assert (figures["manner"]["base"]["recited"], figures["manner"]["tuned"]["recited"]) == (0.0, 1.0)
    assert figures["arms"]["base"]["general-formats"]["estimate"] == 1
    with store.open(made, "report.html") as reader:
        page = parsed(reader.read().decode())
    shown = {row[0]: row[4] for row in rows(page, "How it answers general questions")}
    assert shown == {"base": "0.0%", "tuned": "100.0%"}
    assert "general-formats" in [row[0] for row in rows(page, "What it lost, by domain")]
