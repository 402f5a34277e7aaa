"""Citation figures: of what was shown and cited, how much holds what the answer rests on."""

from tasks.base.records import Answer, Document, Item
from tasks.base.runs import read_json
from tasks.base.store import Store
from tasks.evaluation.citations import Shown, citation_figures, shown
from tasks.evaluation.params import ItemsParams, Suite
from tasks.retrieval.passages import passages
from tests.evaluation.conftest import answers_of, asked_of, report_of, right_answers


def test_right_answer_cites_the_passage_that_holds_it(train: list[Document]) -> None:
    asked = asked_of(train, [], ItemsParams(items=20, suites=(Suite.RECALL,), general_items=0))
    found = list(passages(train, 40))
    rows = [
        shown(item, Answer(item_id=item.id, text=item.answers[0], tokens=1, finished=True), found) for item in asked
    ]
    assert all(len(row.holding) == 1 for row in rows)
    assert all(
        row.places[row.holding[0]].startswith(f"{item.document_id}:") for row, item in zip(rows, asked, strict=True)
    )
    figures = citation_figures(rows, {item.id: item for item in asked}, 0.95)
    assert figures is not None
    assert figures["shown"]["estimate"] == 1
    assert figures["precision"]["estimate"] > 0.5


def test_figures_count_answers_that_cite_and_leave_out_what_has_no_answer(questions: list[Item], store: Store) -> None:
    answered = [item for item in questions if item.answerable and not item.suite.startswith("general-")][:40]
    rows = [
        Shown(item_id=item.id, places=("a:1-2", "b:1-2"), cited=(0,) if number % 2 else (), holding=(number % 4 == 1,))
        for number, item in enumerate(answered)
    ]
    rows = [row.model_copy(update={"holding": (0,) if row.holding[0] else (1,)}) for row in rows]
    figures = citation_figures(rows, {item.id: item for item in questions}, 0.95)
    assert figures is not None
    assert figures["answers"] == 40
    assert figures["shown"]["estimate"] == 1
    assert (figures["precision"]["items"], figures["precision"]["estimate"]) == (20, 0.5)
    assert citation_figures([], {}, 0.95) is None

    texts = right_answers(questions)
    made = report_of(
        store, questions, answers_of(store, "base", texts), answers_of(store, "tuned", texts),
        answers_of(store, "tuned-retrieval", {row.item_id: "x" for row in rows}, rows),
    )  # fmt: skip
    assert read_json(store, made, "summary.json")["citations"] == {"tuned-retrieval": figures}
    with store.open(made, "report.html") as reader:
        assert b"cited passage is the right one" in reader.read()
