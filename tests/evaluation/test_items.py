"""Questions: grounded, deterministic, paired, in words that no training method uses."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tasks.base.records import Dialogue, Document, Item, Kind, Split
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.evaluation.facts import askable
from tasks.evaluation.guess import name_of
from tasks.evaluation.items import make_items, near_miss
from tasks.evaluation.params import ItemsParams, Suite
from tasks.evaluation.scoring import kind_of
from tasks.text.ngrams import window_hashes, words
from tests.evaluation.conftest import CART, artifact_of, document, plain

NO_GENERAL = {"general_items": 0}


def _by_suite(made: list[Item], suite: Suite) -> list[Item]:
    return [item for item in made if item.suite == suite]


@pytest.fixture
def made(train: list[Document], held_out: list[Document], talks: list[Dialogue]) -> list[Item]:
    """Every question that the small split has."""
    pull = document(
        "7",
        "Customers complained that the delivery cost was wrong for islands. It is fixed here.",
        Kind.PULL,
        number=7,
        files=[{"path": "src/cart.py", "status": "modified", "previous_path": None, "patch": ""}],
    )
    return make_items([*train, pull], held_out, plain(talks), ItemsParams(items=100, **NO_GENERAL))


def test_items_are_sorted_unique_and_from_their_side_of_the_split(made: list[Item]) -> None:
    assert [item.id for item in made] == sorted({item.id for item in made})
    assert {item.document_id for item in _by_suite(made, Suite.HELD_OUT)} == {"shop/file/src/stock.py"}
    trained = [item for item in made if item.suite != Suite.HELD_OUT]
    assert "shop/file/src/stock.py" not in {item.document_id for item in trained}
    assert {item.suite for item in made} >= {"recall", "paraphrase", "held-out", "code", "pull"}


def test_dialogues_that_begin_alike_are_asked_once(train: list[Document], talks: list[Dialogue]) -> None:
    first, *_ = (talk for talk in talks if talk.split == Split.TRAIN and len(talk.messages) == 2)
    start = "Carts are kept for two days after the last visit and then they are"

    def talk(end: str) -> Dialogue:
        answer = first.messages[1].model_copy(update={"content": f"{start} {end} by the nightly job of the shop."})
        return first.model_copy(update={"id": f"{first.id}/{end}", "messages": (first.messages[0], answer)})

    made = make_items(train, [], plain([talk("emptied"), talk("removed")]), ItemsParams(items=100, **NO_GENERAL))
    (asked,) = [item for item in _by_suite(made, Suite.PARAPHRASE) if kind_of(item) == "cloze"]
    assert asked.answers[0].endswith("by the nightly job of the shop.")
    assert [item.id for item in made] == sorted({item.id for item in made})


def test_every_answer_is_in_the_lines_that_the_item_names(made: list[Item], train: list[Document]) -> None:
    texts = {one.id: one.text.split("\n") for one in train}
    checked = 0
    for item in made:
        kind = kind_of(item)
        if item.document_id in texts and kind in ("arguments", "purpose", "code", "opening"):
            first, last = item.span
            lines = "\n".join(texts[item.document_id][first - 1 : last])
            assert all(part.strip() in lines for part in re.split(r", |\n", item.answers[0])), item.id
            checked += 1
    assert checked >= 5


def test_questions_and_answers_of_known_facts_are_exact(made: list[Item]) -> None:
    found = {(item.suite, kind_of(item), name_of(item)): item.answers[0] for item in made if item.answerable}
    facts = {(kind, name): answer for (_, kind, name), answer in found.items()}
    assert facts["location", "ShoppingCart"] == "src/cart.py"
    assert facts["arguments", "delivery_cost"] == "weight_grams, country"
    assert facts["heading", "Return policy"] == "docs/guide.md"
    assert facts["pull-file", "7"] == "src/cart.py"
    assert facts["pull-why", "7"] == "Customers complained that the delivery cost was wrong for islands."
    assert facts["link", "home page"] == "https://shop.example.com/home"
    assert found["held-out", "arguments", "reserve_stock"] == "article, quantity, warehouse"


def test_unanswerable_items_are_paired_and_their_names_occur_nowhere(made: list[Item], train: list[Document]) -> None:
    asked = _by_suite(made, Suite.UNANSWERABLE)
    lost = [item for item in asked if not item.answerable]
    assert lost
    for item in lost:
        twins = [other for other in asked if other.pair_id == item.pair_id and other.answerable]
        assert len(twins) == 1
        if kind_of(item).startswith("near-miss"):
            assert all(name_of(item) not in one.text for one in train)
            assert name_of(item) != name_of(twins[0])
        assert "I do not know" in item.question
        assert "I do not know" in twins[0].question


def test_invented_pull_requests_have_numbers_that_no_pull_request_has() -> None:
    pulls = [
        document(str(number), f"Because customer {number} asked for it in words.", Kind.PULL, files=[])
        for number in range(100, 108)
    ]
    made = make_items(pulls, [], [], ItemsParams(items=100, suites=(Suite.UNANSWERABLE,), **NO_GENERAL))
    lost = [item for item in made if not item.answerable]
    assert len(lost) == len(made) / 2 == 2
    for item in lost:
        number = int(re.findall(r"number (\d+)", item.question)[0])
        twin = next(other for other in made if other.pair_id == item.pair_id and other.answerable)
        assert number > 1_000
        assert int(re.findall(r"number (\d+)", twin.question)[0]) in range(100, 108)
        assert "I do not know" in item.question


def test_dated_items_name_the_snapshot_and_share_no_fact_with_recall() -> None:
    functions = "".join(
        f"def compute_value_{word}(first_{word}, second_{word}):\n    return 1\n\n"
        for word in ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda"]
    )
    found = make_items([document("src/many.py", functions)], [], [], ItemsParams(items=500, **NO_GENERAL))
    dated = _by_suite(found, Suite.DATED)
    assert dated
    assert all("31 December 2023" in item.question for item in dated)
    recalled = {(kind_of(item), name_of(item)) for item in _by_suite(found, Suite.RECALL)}
    assert not recalled & {(kind_of(item), name_of(item)) for item in dated}


def test_names_with_two_definitions_are_not_asked() -> None:
    twice = [
        document("a.py", "def same_name(one, two):\n    pass\n"),
        document("b.py", "def same_name(one, two):\n    pass\n"),
    ]
    assert askable(twice) == []


def test_base_name_is_an_answer_only_where_it_is_unique() -> None:
    unique = askable([document("src/cart.py", "def first_thing(one, two):\n    pass\n")])
    assert unique[0][1].answers == ("src/cart.py", "cart.py")
    shared = askable(
        [
            document("a/cart.py", "def first_thing(one, two):\n    pass\n"),
            document("b/cart.py", "def other_thing(one, two):\n    pass\n"),
        ]
    )
    assert {fact.answers for _, fact in shared if fact.kind == "location"} == {("a/cart.py",), ("b/cart.py",)}


def test_number_of_items_and_seed_decide_what_is_drawn(
    train: list[Document], held_out: list[Document], talks: list[Dialogue]
) -> None:
    few = make_items(train, held_out, plain(talks), ItemsParams(items=6, **NO_GENERAL))
    assert len(few) in (5, 6)  # a pair is taken whole or not at all
    assert few == make_items(train, held_out, plain(talks), ItemsParams(items=6, **NO_GENERAL))
    other = make_items(train, held_out, plain(talks), ItemsParams(items=6, item_seed=1, **NO_GENERAL))
    assert [item.id for item in few] != [item.id for item in other]


def test_no_training_method_asks_in_these_words(store: Store) -> None:
    from tasks.synthesis.dialogues import dialogues
    from tasks.synthesis.facts.step import facts
    from tasks.synthesis.params import SynthesisParams

    documents = [
        document("src/cart.py", CART),
        document(
            "docs/guide.md", "# Guide\n\n## Return policy\n\nThe shop is an example of a [home](https://a.example).\n"
        ),
        document(
            "7", "Because the cost was wrong for islands everywhere.", Kind.PULL, number=7, files=[{"path": "a.py"}]
        ),
    ]
    split = artifact_of(store, train=documents, held_out=[])
    known = facts.direct(store, documents=split)
    trained = dialogues.direct(store, documents=split, facts=known, params=SynthesisParams())
    prompts = [one.messages[0].content for one in read_records(store, trained, Dialogue)]
    asked = make_items(documents, [], [], ItemsParams(items=100, **NO_GENERAL))
    assert len(prompts) > 20
    assert len(asked) > 10

    def grams(text: str) -> set[int]:
        return set(window_hashes(words(text), 4).tolist())

    for item in asked:
        own = grams(item.question)
        shared = max(len(own & grams(one)) / max(len(own), 1) for one in prompts)
        assert shared < 0.5, (item.question, shared)


@given(
    some.from_regex(r"[a-z]{3,8}(_[a-z]{3,8}){1,3}", fullmatch=True),
    some.sets(some.from_regex(r"[a-z]{4,8}", fullmatch=True)),
)
@settings(max_examples=80, deadline=None)
def test_near_miss_is_new_and_resembles_the_name(name: str, vocabulary: set[str]) -> None:
    made = near_miss(name, sorted(vocabulary), f"def {name}(): ...".encode())
    assert made is None or (made != name and made not in f"def {name}(): ..." and made.count("_") == name.count("_"))
