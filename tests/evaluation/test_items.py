"""Questions: balanced, grounded, deterministic, paired, in words that no training method uses."""

import json
import re
from collections import Counter, defaultdict
from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tasks.base.records import Dialogue, Document, Item, Kind, Split
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.evaluation.facts import changed_values, own_facts
from tasks.evaluation.items import (
    FEW,
    KIND_FRACTION,
    LOCATION_FRACTION,
    LOCATIONS,
    askable,
    balanced,
    items,
    make_items,
    sheet,
)
from tasks.evaluation.near_misses import near_miss
from tasks.evaluation.params import ItemsParams, Suite
from tasks.evaluation.questions import FACTS, NOT_ASKED, OWN
from tasks.evaluation.scoring import score
from tasks.evaluation.stale import mentioned_names
from tasks.text.facts import Fact, Shape
from tasks.text.ngrams import window_hashes, words
from tests.evaluation.conftest import CART, artifact_of, asked_of, document, facts_of

NO_GENERAL = {"general_items": 0}
HIDDEN = '''MAX_BASKET = 40


class Desk:
    """Serves one customer after the other until closing."""

    def greet(self, customer, language="en", loud=False):
        if not customer:
            raise ValueError("nobody to greet")
        return wave(customer, language)


class NightDesk(Desk):
    pass


def wave(customer, hand):
    return customer
'''


def _by_suite(made: list[Item], suite: Suite) -> list[Item]:
    return [item for item in made if item.suite == suite]


def _documents(train: list[Document]) -> list[Document]:
    moved = {"path": "src/cart.py", "status": "renamed", "previous_path": "lib/basket.py", "patch": ""}
    pull = document(
        "7", "The delivery cost was wrong for islands.", Kind.PULL, number=7, files=[moved],
        merged_at="2023-11-02T10:00:00Z",
    )  # fmt: skip
    return [*train, document("src/shop.py", HIDDEN), pull]


@pytest.fixture
def made(train: list[Document], held_out: list[Document]) -> list[Item]:
    """Every question that the small split has."""
    return asked_of(_documents(train), held_out, ItemsParams(items=200, **NO_GENERAL))


def test_items_are_sorted_unique_and_from_their_side_of_the_split(made: list[Item]) -> None:
    assert [item.id for item in made] == sorted({item.id for item in made})
    assert {item.document_id for item in _by_suite(made, Suite.HELD_OUT)} == {"shop/file/src/stock.py"}
    trained = [item for item in made if item.suite != Suite.HELD_OUT]
    assert "shop/file/src/stock.py" not in {item.document_id for item in trained}
    assert {item.suite for item in made} >= {"recall", "paraphrase", "held-out", "code", "dated"}


def test_questions_and_answers_of_known_facts_are_exact(made: list[Item]) -> None:
    asked = {item.question: item.answers[0] for item in made if item.answerable}
    found = {(item.kind, answer) for item in made for answer in item.answers}
    assert ("parameters", "weight_grams, country") in found
    assert ("heading", "docs/guide.md") in found
    assert ("value", "40") in found
    assert ("default", "False") in found
    wording = "Proposal number 7 to shop moved a file to `src/cart.py`. Name the path that it had before."
    assert next(answer for asking, answer in asked.items() if asking.startswith(wording)) == "lib/basket.py"


def test_reference_of_every_question_is_marked_right_and_a_foreign_answer_wrong(made: list[Item]) -> None:
    for item in made:
        if item.answerable:
            assert score(item, item.answers[0]) == 1, (item.question, item.answers)
            assert score(item, "zebra/giraffe.txt") < 0.5, item.question


def test_one_wording_has_one_answer(made: list[Item]) -> None:
    answers = defaultdict(set)
    for item in made:
        answers[item.question].add(item.answers)
    assert all(len(found) == 1 for found in answers.values())


def test_what_two_facts_answer_differently_is_not_asked(train: list[Document]) -> None:
    fact = next(fact for fact in facts_of(_documents(train)) if fact.kind == "value")
    other = fact.model_copy(update={"id": f"{fact.id}-other", "values": ("41",)})
    documents = {one.id: one for one in _documents(train)}
    assert [one.id for _, one in askable([fact], documents)] == [fact.id]
    assert askable([fact, other], documents) == []


def test_what_differs_in_backticks_alone_is_one_question_and_inherited_fields_are_not_asked_for() -> None:
    page = document("docs/guide.md", "## First part\n\nx\n\n## Second part\n\ny\n")
    first = _many({"changelog-version": 1, "type": 1})
    facts = [fact.model_copy(update={"subject": "Drop the `old` valve"}) for _, fact in first]
    facts[1] = facts[1].model_copy(update={"values": ("a", "b"), "shape": Shape.ALL})
    documents = {page.id: page}
    assert [one.kind for _, one in askable(facts, documents)] == ["changelog-version", "type"]
    twin = facts[0].model_copy(update={"id": "twin", "subject": "Drop the old valve", "values": ("y",)})
    above = facts[1].model_copy(update={"words": {"inherited": "What `Base` has comes on top."}})
    assert not askable([facts[0], twin, above], documents)
    headings = [one.subject for one in own_facts([page], Split.TRAIN) if one.kind == "heading"]
    assert headings == ["First part", "Second part"], "a page without a title has parts, too"


def test_names_that_give_their_file_away_are_not_asked_for_it() -> None:
    document_of = document("src/shopping_cart.py", "class ShoppingCart:\n    x = 1\n\n\nclass Till:\n    y = 2\n")
    user = document("src/shop.py", "from src.shopping_cart import ShoppingCart, Till\n\n\ndef opened():\n"
                    "    return Till(), ShoppingCart()\n")  # fmt: skip
    documents = {one.id: one for one in (document_of, user)}
    asked = [fact.subject for _, fact in askable(facts_of([document_of, user]), documents) if fact.kind == "location"]
    assert asked == ["Till"]


def _many(kinds: dict[str, int]) -> list[tuple[Document, Fact]]:
    page = document("docs/guide.md", "x")
    return [
        (page, Fact(id=f"{page.id}#{kind}/{number:04d}", kind=kind, language="python" if number % 3 else "typescript",
                    subject=f"thing{number}", values=("x",), shape=Shape.ONE, document_id=page.id, span=(1, 1),
                    split=Split.TRAIN))
        for kind, count in kinds.items() for number in range(count)
    ]  # fmt: skip


@given(some.dictionaries(some.sampled_from(sorted(FACTS)), some.integers(1, 400), min_size=6), some.integers(20, 300))
@settings(max_examples=40, deadline=None)
def test_no_kind_crowds_the_others_out(kinds: dict[str, int], number: int) -> None:
    taken = balanced(_many(kinds), number, 0)
    counts = Counter(fact.kind for _, fact in taken)
    assert len(taken) <= number
    assert set(counts) <= set(kinds)
    most = max(FEW, KIND_FRACTION * len(taken))
    assert max(counts.values()) <= most + 1e-9
    assert sum(counts[kind] for kind in LOCATIONS) <= max(FEW, LOCATION_FRACTION * len(taken)) + 1e-9
    assert taken == balanced(_many(kinds), number, 0)


def test_languages_take_turns_within_a_kind() -> None:
    taken = balanced(_many(dict.fromkeys(["value", "default", "caller", "calls", "type"], 90)), 50, 0)
    assert Counter(fact.language for _, fact in taken) == {"python": 25, "typescript": 25}


def test_unanswerable_items_are_paired_and_their_names_occur_nowhere(made: list[Item], train: list[Document]) -> None:
    asked = _by_suite(made, Suite.UNANSWERABLE)
    lost = [item for item in asked if not item.answerable]
    assert lost
    for item in lost:
        twins = [other for other in asked if other.pair_id == item.pair_id and other.answerable]
        assert len(twins) == 1
        if item.kind.startswith("near-miss") and item.kind != "near-miss-pull":
            (name,) = set(re.findall(r"`([^`]+)`", item.question)) - set(re.findall(r"`([^`]+)`", twins[0].question))
            assert all(name not in one.text for one in train)
        assert "I do not know" in item.question
        assert "I do not know" in twins[0].question


def test_invented_pull_requests_have_numbers_that_no_pull_request_has() -> None:
    pulls = [
        document(str(number), "Asked for.", Kind.PULL, files=[{"path": f"src/{number}.py"}])
        for number in range(100, 108)
    ]
    pulls = [one.model_copy(update={"title": f"Change number {one.path} of the shop"}) for one in pulls]
    made = asked_of(pulls, [], ItemsParams(items=100, suites=(Suite.UNANSWERABLE,), **NO_GENERAL))
    lost = [item for item in made if not item.answerable]
    assert len(lost) == len(made) / 2 == 2
    for item in lost:
        number = int(re.findall(r"number (\d+)", item.question)[0])
        twin = next(other for other in made if other.pair_id == item.pair_id and other.answerable)
        assert number > 107
        assert int(re.findall(r"number (\d+)", twin.question)[0]) in range(100, 108)


def test_files_that_did_not_move_for_good_are_not_asked_for_their_past(train: list[Document]) -> None:
    gone, back = (
        document(str(number), "Moves.", Kind.PULL, merged_at="2023-11-02T10:00:00Z",
                 files=[{"path": new, "status": "renamed", "previous_path": old, "patch": ""}])
        for number, old, new in ((8, "a/x.py", "b/x.py"), (9, "docs/guide.md", "src/cart.py"))
    )  # fmt: skip
    made = asked_of([*train, gone, back], [], ItemsParams(items=100, suites=(Suite.DATED,), **NO_GENERAL))
    assert made == []


def _change(kind: str, subject: str, pull: str, **words: str) -> Fact:
    return Fact(
        id=f"shop/pull/{pull}#{kind}/{subject}",
        kind=kind,
        language="pull",
        subject=subject,
        scope="src/shop.py",
        values=(words["new"],),
        shape=Shape.ONE,
        words={"pull": f"#{pull}", **words},
        document_id=f"shop/pull/{pull}",
        span=(1, 1),
        split=Split.TRAIN,
    )


def test_values_and_names_before_and_after_a_change_are_asked_if_the_snapshot_still_has_it(
    train: list[Document],
) -> None:
    pull = document("7", "Larger baskets.", Kind.PULL, number=7, files=[])
    documents = {one.id: one for one in (*_documents(train), pull)}
    facts = [
        _change("change", "MAX_BASKET", "7", old="30", new="40", line="MAX_BASKET = 40"),
        _change("change", "MIN_BASKET", "7", old="1", new="2", line="MIN_BASKET = 2"),  # undone since
        _change("rename", "waves", "7", new="wave"),
        _change("rename", "waver", "7", new="wavers"),  # renamed again since
        _change("rename", "wave", "7", new="waves"),  # still there
        _change("rename", "bow", "7", new="greet"),  # another thing
        _change("change", "TEXT", "7", old="x" * 81, new="y", line="TEXT = y"),
        _change("change", "QUOTED", "7", old='"a": 1', new="'a':1", line="QUOTED = {'a':1}"),
        _change("change", "COUNT", "7", old="1", new="2", line="x").model_copy(update={"scope": "tests/test_shop.py"}),
    ]
    found = [
        [(fact.kind, fact.subject, fact.values) for fact in group] for _, *group in changed_values(facts, documents)
    ]
    assert found == [
        [("changed-from", "MAX_BASKET", ("30",)), ("changed-to", "MAX_BASKET", ("40",))],
        [("changed-from", "MIN_BASKET", ("1",))],
        [("renamed-from", "wave", ("waves",)), ("renamed-to", "waves", ("wave",))],
        [("renamed-from", "wavers", ("waver",))],
    ]
    made = make_items(list(documents.values()), [], facts, ItemsParams(items=100, suites=(Suite.DATED,), **NO_GENERAL))
    asked = {item.question: item.answers for item in made}
    until = "Until proposal number 7 to shop, `MAX_BASKET` in src/shop.py was `30`. State what it has been since."
    assert next(answers for one, answers in asked.items() if one.startswith(until)) == ("40",)


def test_names_of_pages_are_asked_about_if_they_are_nowhere_else_or_defined(train: list[Document]) -> None:
    page = document(
        "docs/old.md", "Call `fill_basket()` or `NightDesk`, set `MAX_BASKET`; `wave_hand` is gone, `wave` not."
    )
    talk = document("docs/talk.md", "`fill_basket` was here; `delivery_cost` is.")
    sources = [*train, document("src/shop.py", HIDDEN)]
    found = [
        (where.path, gone.subject, gone.values, there.subject, there.values)
        for where, gone, there in mentioned_names([*sources, page, talk])
    ]
    assert found == [
        ("docs/old.md", "fill_basket", ("no",), "NightDesk", ("yes",)),
        ("docs/old.md", "wave_hand", ("no",), "delivery_cost", ("yes",)),
    ]
    made = asked_of([*sources, page, talk], [], ItemsParams(items=100, suites=(Suite.STALE,), **NO_GENERAL))
    assert Counter((item.kind, item.answers) for item in made) == {
        ("exists-name", ("no",)): 2,
        ("exists-name", ("yes",)): 2,
    }


def test_pull_request_titles_and_own_facts_name_their_documents(train: list[Document]) -> None:
    assert {fact.kind for fact in own_facts(_documents(train), Split.TRAIN)} == {
        "heading", "code", "opening", "pull-file",
    }  # fmt: skip


def test_number_of_items_and_seed_decide_what_is_drawn(train: list[Document], held_out: list[Document]) -> None:
    few = asked_of(_documents(train), held_out, ItemsParams(items=8, **NO_GENERAL))
    assert len(few) in (6, 7, 8)  # a pair is taken whole or not at all
    assert few == asked_of(_documents(train), held_out, ItemsParams(items=8, **NO_GENERAL))
    other = asked_of(_documents(train), held_out, ItemsParams(items=8, item_seed=1, **NO_GENERAL))
    assert [item.id for item in few] != [item.id for item in other]


def test_step_writes_a_sheet_with_the_lines_that_answer_and_counts_kinds(
    store: Store, train: list[Document], held_out: list[Document]
) -> None:
    split = artifact_of(store, train=_documents(train), held_out=held_out)
    found = artifact_of(store, records=facts_of(_documents(train), held_out))
    made = items.direct(store, documents=split, facts=found, params=ItemsParams(items=60, **NO_GENERAL))
    with store.open(made, "to-check.jsonl") as reader:
        lines = [json.loads(line) for line in reader]
    assert len(lines) == made.counts["records"]
    assert {line["right"] for line in lines} == {None}
    value = next(line for line in lines if line["answers"] == ["40"])
    assert value["rests_on"] == "MAX_BASKET = 40"
    assert sum(number for name, number in made.counts.items() if name.startswith("kind:")) == made.counts["records"]
    assert not any(name.startswith("not-asked:") for name in made.counts)
    documents = {one.id: one for one in [*_documents(train), *held_out]}
    assert [json.loads(line) for line in sheet(read_records(store, made, Item), documents, 0)] == lines


def test_every_kind_of_fact_is_asked_or_left_out_on_purpose() -> None:
    from tasks.synthesis.wordings import WORDINGS

    assert not WORDINGS.keys() - FACTS.keys() - NOT_ASKED
    assert not NOT_ASKED & FACTS.keys()


def _words(wording: str) -> list[str]:
    """Words of a question's first sentence or sentences without its ending; `_` for a slot."""
    asked = re.sub(r" (?:Reply|Leave) .*", "", wording, flags=re.DOTALL)
    asked = re.sub(r"\{within\}|\{\w+!h\}", "", asked)
    return re.findall(r"[\w']+", re.sub(r"\{[^}]*\}", " _ ", asked).lower())


def test_no_training_question_is_nearly_an_evaluation_question() -> None:
    from tasks.synthesis.wordings import WORDINGS

    evaluated = [_words(one) for fact in (FACTS | OWN).values() for one in (fact.wording, fact.other) if one]
    near: list[tuple[str, str]] = []
    for question in sorted({one for wording in WORDINGS.values() for one in wording.questions}):
        said = SequenceMatcher(None, autojunk=False)
        said.set_seq2(trained := _words(question))
        for asked in evaluated:
            if len({*trained} & {*asked}) < 4:
                continue
            said.set_seq1(asked)
            run = said.find_longest_match()
            shared = [word for word in asked[run.a : run.a + run.size] if word != "_"]
            if len(shared) > 4 or (said.real_quick_ratio() >= 0.8 and said.quick_ratio() >= 0.8 <= said.ratio()):
                near.append((question, " ".join(asked)))
    assert not near


def test_no_training_method_asks_in_these_words(store: Store) -> None:
    from tasks.synthesis.dialogues import dialogues
    from tasks.synthesis.facts.step import facts
    from tasks.synthesis.params import SynthesisParams

    documents = [
        document("src/cart.py", CART),
        document("src/shop.py", HIDDEN),
        document(
            "docs/guide.md", "# Guide\n\n## Return policy\n\nThe shop is an example of a [home](https://a.example).\n"
        ),
        document("7", "Because the cost was wrong for islands.", Kind.PULL, number=7, files=[{"path": "a.py"}]),
    ]
    documents.sort(key=lambda one: one.id)
    split = artifact_of(store, train=documents, held_out=[])
    known = facts.direct(store, documents=split)
    trained = dialogues.direct(store, documents=split, facts=known, params=SynthesisParams())
    prompts = [one.messages[0].content for one in read_records(store, trained, Dialogue)]
    asked = asked_of(documents, [], ItemsParams(items=200, **NO_GENERAL))
    assert len(prompts) > 20
    assert len(asked) > 20

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
    if made is not None:
        assert made != name
        assert any(part in made for part in name.split("_"))
