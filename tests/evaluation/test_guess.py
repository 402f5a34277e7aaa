"""The control that answers with the most similar trained name."""

from tasks.base.records import Document, Item
from tasks.evaluation.facts import document_facts
from tasks.evaluation.guess import guesses, name_of
from tasks.evaluation.items import make_items
from tasks.evaluation.params import ItemsParams, Suite
from tasks.evaluation.scoring import kind_of

NO_GENERAL = {"general_items": 0}


def test_guess_answers_with_the_most_similar_trained_name(held_out: list[Document], train: list[Document]) -> None:
    asked = make_items(train, held_out, [], ItemsParams(items=100, suites=(Suite.HELD_OUT,), **NO_GENERAL))
    texts = {kind_of(item): text for item in asked for text in [_guess(asked, train).get(item.id)]}
    assert texts["location"] == "src/cart.py"
    assert texts["arguments"] in {"article, quantity", "weight_grams, country"}


def test_guess_never_uses_the_asked_name_itself(train: list[Document]) -> None:
    asked = make_items(train, [], [], ItemsParams(items=100, suites=(Suite.RECALL,), **NO_GENERAL))
    known = {(fact.kind, fact.name): fact.answers[0] for one in train for fact in document_facts(one)}
    for item in asked:
        if kind_of(item) == "arguments":
            assert _guess(asked, train)[item.id] != known["arguments", name_of(item)]


def _guess(asked: list[Item], train: list[Document]) -> dict[str, str]:
    return {answer.item_id: answer.text for answer in guesses(asked, train)}
