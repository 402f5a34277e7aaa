"""A person's own questions: read, asked where their source is, marked by their points, graded by the judge if any."""

from pathlib import Path

import pytest

from tasks.base.errors import InputError
from tasks.base.records import Answer, Document
from tasks.base.store import Store
from tasks.evaluation.general import OWN_TOKENS, new_tokens
from tasks.evaluation.items import items
from tasks.evaluation.judge import Grade, Judgement, judged, regraded
from tasks.evaluation.own import coverage, own_items, read_own
from tasks.evaluation.params import ItemsParams, Suite
from tasks.evaluation.scoring import score_arm
from tests.evaluation.conftest import REVISION, artifact_of, facts_of

EXAMPLE = Path("docs/examples/httpx-questions.yaml")

QUESTIONS = f"""
repo: someone/shop
revision: {REVISION}
questions:
  - question: Why may a quantity not be zero?
    must: [at least one | 1, ValueError]
    must_not: [allowed]
    lines: src/cart.py:9-10,12; docs/guide.md:1
  - question: What is sent back when?
    must: [thirty | "30"]
    lines: docs/guide.md:9
  - question: What did the old shop do?
    must: [nothing]
    lines: src/gone.py:1-2
  - question: Who pays?
    must: [customer]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Four questions: two about files that are there, one about a file that is not, one without a source."""
    path = tmp_path / "questions.yaml"
    path.write_text(QUESTIONS, "utf-8")
    return path


def test_shipped_example_is_read_whole_and_its_points_can_be_met() -> None:
    read = read_own(str(EXAMPLE))
    assert len(read.questions) == len({one.question for one in read.questions}) == 60
    for one in read.questions:
        assert one.lines
        points = [point.split(" | ") for point in one.must]
        assert coverage(" and ".join(point[0] for point in points), points, one.must_not) == 1, one.question
        assert coverage("Something else entirely.", points, one.must_not) == 0, one.question


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("A ValueError says that it is at least one.", 1.0),
        ("Because of a `ValueError`.", 0.5),
        ("At least\none, it seems.", 0.5),
        ("1", 0.5),
        ("MyValueErrors since 10", 0.0),
        ("At least one, else ValueError, but zero is allowed.", 0.0),
        ("", 0.0),
    ],
)
def test_points_are_met_by_any_wording_as_a_whole_and_what_is_forbidden_spoils_all(answer: str, score: float) -> None:
    assert coverage(answer, [("at least one", "1"), ("ValueError",)], ["allowed"]) == score


def test_questions_are_asked_beside_the_others_where_their_source_is_and_counted(
    store: Store, train: list[Document], own: Path
) -> None:
    made = own_items(read_own(str(own)), train)
    assert [(item.question[:3], item.document_id, item.span) for item in made] == [
        ("Why", "shop/file/src/cart.py", (9, 10)),
        ("Wha", "shop/file/docs/guide.md", (9, 9)),
        ("Who", "own/004", (1, 1)),
    ]
    assert made[0].must == (("at least one", "1"), ("ValueError",))
    assert {new_tokens(item, 64) for item in made} == {OWN_TOKENS}
    split = artifact_of(store, train=train, held_out=[])
    found = artifact_of(store, records=facts_of(train))
    params = ItemsParams(items=20, general_items=0, own=str(own))
    counts = items.direct(store, documents=split, facts=found, params=params).counts
    assert (counts["own"], counts["own-without-source"], counts["own-of-another-revision"]) == (3, 1, 1)
    other = own.with_name("other.yaml")
    other.write_text(QUESTIONS.replace("thirty", "fourteen"), "utf-8")
    assert params.identity() != params.model_copy(update={"own": str(other)}).identity()


def test_judge_grades_own_questions_in_place_of_the_points_and_their_agreement_is_told(
    train: list[Document], own: Path
) -> None:
    asked = [item for item in own_items(read_own(str(own)), train) if item.suite == Suite.OWN]
    texts = ("At least one, ValueError.", "ValueError is raised below a minimum.", "The customer.")
    answers = [
        Answer(item_id=item.id, text=text, tokens=1, finished=True) for item, text in zip(asked, texts, strict=True)
    ]
    scores = score_arm("tuned", asked, answers)
    assert [one.score for one in scores] == [1.0, 0.0, 1.0]
    grades = [
        Judgement(id=item.id, grade=grade) for item, grade in zip(asked, (Grade.CORRECT, Grade.PARTIAL), strict=False)
    ]
    assert [one.score for one in regraded(scores, grades)] == [1.0, 0.5, 1.0]
    told = judged(grades, scores, {"judge": "m", "items": 0, "kappa": None})
    assert told["points"] == {"items": 2, "agreement": 1.0, "kappa": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("questions: []", "questions.yaml, questions: Tuple should have at least 1 item"),
        ("questions: [{question: Why, must: []}]", "questions.1.must: "),
        ("questions: [{question: Why, must: [no]}]", "questions.1.must.1: Input should be a valid string"),
        ("questions: [{question: Why, must: [x], lines: a.py}]", "questions.1.lines: .*a.py is not path:first-last"),
        ("questions: [\n", "questions.yaml is not YAML, line 2"),
    ],
)
def test_bad_file_names_the_question_and_the_field(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message):
        read_own(str(path))
    with pytest.raises(InputError, match=r"evaluation\.own: missing\.yaml cannot be read"):
        read_own(str(tmp_path / "missing.yaml"))
