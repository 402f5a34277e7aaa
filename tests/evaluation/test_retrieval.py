"""Passages: whole lines, identifiers before filler words, the right one for the oracle."""

from hypothesis import given
from hypothesis import strategies as some

from tasks.base.records import Document
from tasks.evaluation.answer import looked_up, prompt
from tasks.evaluation.params import AnswerParams, Arm, ItemsParams, Suite
from tasks.evaluation.retrieval import Index, passages, query
from tests.evaluation.conftest import asked_of, document


@given(some.lists(some.text(alphabet="ab c", max_size=90), min_size=1, max_size=60))
def test_passages_of_a_document_join_to_its_text(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = list(passages([document("a.py", text)], 32))
    assert "\n".join(one.text.partition(":\n")[2] for one in found) == text
    assert [one.span[0] for one in found[1:]] == [one.span[1] + 1 for one in found[:-1]]


def test_query_is_made_of_identifiers_where_there_are_any() -> None:
    assert query("Name the file in which shop defines `Cart.add_article`. Reply with the path only.") == [
        ("cart", 3.0),
        ("add_article", 3.0),
        ("add", 1.0),
        ("article", 1.0),
    ]
    assert query("What is the return policy?") == [("return", 1.0), ("policy", 1.0)]
    assert ("delivery_cost", 3.0) in query("Where is delivery_cost written?")


def test_identifier_finds_its_passage_among_prose_that_repeats_the_question(train: list[Document]) -> None:
    prose = "Reply with the path only. Name the file in which shop defines things.\n" * 20
    index = Index(list(passages([*train, document("docs/prose.md", prose)], 100)))
    best = index.search("Name the file in which shop defines `delivery_cost`. Reply with the path only.", 1)
    assert best[0].document_id == "shop/file/src/cart.py"
    assert "def delivery_cost" in best[0].text


def test_nothing_is_found_for_words_that_no_passage_has(train: list[Document]) -> None:
    assert Index(list(passages(train, 100))).search("`zzzqqq`", 3) == []


def test_oracle_sees_the_line_that_the_answer_rests_on(train: list[Document], held_out: list[Document]) -> None:
    asked = asked_of(train, held_out, ItemsParams(items=40, suites=(Suite.RECALL,), general_items=0))
    found = looked_up(Arm.BASE_ORACLE, asked, [*train, *held_out], AnswerParams(passage_tokens=40))
    for item in asked:
        assert len(found[item.id]) == 1
        first, last = found[item.id][0].span
        assert first <= item.span[0] <= last


def test_prompt_puts_passages_before_the_question_and_is_the_question_alone_without(train: list[Document]) -> None:
    item = asked_of(train, [], ItemsParams(items=1, suites=(Suite.RECALL,), general_items=0))[0]
    assert prompt(item)[0].content == item.question
    text = prompt(item, list(passages(train, 100)))[0].content
    assert text.endswith(f"Question: {item.question}")
    assert "docs/guide.md, lines 1 to" in text
