"""A small run teaches what it asks: few facts of each document, of many kinds, all of which can be marked."""

from collections import Counter

from tasks.base.records import Document, Item
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.evaluation.few_facts import few, few_facts
from tasks.evaluation.items import askable, items
from tasks.evaluation.params import ItemsParams
from tasks.evaluation.questions import OWN
from tasks.text.facts import Fact
from tests.evaluation.conftest import artifact_of, document, facts_of
from tests.evaluation.test_items import HIDDEN, NO_GENERAL


def test_few_facts_of_each_document_are_of_many_kinds_and_all_can_be_asked(
    store: Store, train: list[Document], held_out: list[Document]
) -> None:
    train = sorted([*train, document("src/shop.py", HIDDEN)], key=lambda one: one.id)
    every = facts_of(train, held_out)
    can_be_asked = {fact.id for _, fact in askable(every, {one.id: one for one in (*train, *held_out)})}
    made = few_facts.direct(
        store,
        documents=artifact_of(store, train=train, held_out=held_out),
        facts=artifact_of(store, records=every),
        per_document=2,
    )
    kept = list(read_records(store, made, Fact))
    assert {fact.id for fact in kept} < can_be_asked
    assert made.counts["not-askable"] == len(every) - len(can_be_asked) > 0
    assert made.counts["over-cap"] == len(can_be_asked) - len(kept) > 0
    assert set(Counter(fact.document_id for fact in kept).values()) <= {1, 2}
    kinds = Counter(fact.kind for fact in kept if fact.document_id.startswith("shop/file/src/"))
    assert len(kinds) >= 4, kinds


def test_order_of_the_facts_decides_nothing(train: list[Document]) -> None:
    every = facts_of([*train, document("src/shop.py", HIDDEN)])
    assert few(every, 2) == few(reversed(every), 2)


def test_of_a_few_facts_no_others_are_asked(store: Store, train: list[Document], held_out: list[Document]) -> None:
    """Headings and what else only the evaluation looks for were taught by no dialogue."""
    documents = artifact_of(store, train=train, held_out=held_out)
    facts = artifact_of(store, records=facts_of(train, held_out))
    params = ItemsParams(items=200, **NO_GENERAL)
    asked = {
        taught_only: {
            item.kind
            for item in read_records(
                store,
                items.direct(store, documents=documents, facts=facts, params=params, taught_only=taught_only),
                Item,
            )
        }
        for taught_only in (False, True)
    }
    assert {"heading", "code", "parameters"} <= asked[False]
    assert "parameters" in asked[True]
    assert asked[True].isdisjoint(OWN), asked[True]
