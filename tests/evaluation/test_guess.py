"""The control that knows every trained fact but the one that is asked."""

import random
from collections import Counter

import pytest

from tasks.base.records import Split
from tasks.evaluation.guess import Guesser, asked_about
from tasks.text.facts import Fact, Shape


def fact(kind: str, subject: str, value: str, number: int = 0, **words: str) -> Fact:
    return Fact(
        id=f"shop/file/a.py#{kind}/{subject}{number}{''.join(words.values())}",
        kind=kind,
        language="python",
        subject=subject,
        values=(value,),
        shape=Shape.ONE,
        words=words,
        document_id="shop/file/a.py",
        span=(1, 1),
        split=Split.TRAIN,
    )


def test_guess_is_what_holds_for_the_most_similar_subject_where_names_betray_answers() -> None:
    words = ("cart", "stock", "price", "order", "island", "customer")
    known = [fact("location", f"test_{name}_{part}", f"tests/test_{name}.py") for name in words for part in ("a", "b")]
    guesser = Guesser(known)
    assert guesser.guess(fact("location", "test_island_c", "?")) == "tests/test_island.py"


def test_guess_is_the_most_frequent_answer_where_names_betray_nothing() -> None:
    known = [fact("default", name, value) for name, value in zip("abcdefgh", ["False"] * 6 + ["3", "7"], strict=True)]
    assert Guesser(known).guess(fact("default", "zzz", "?")) == "False"


def test_guess_never_uses_the_asked_fact_itself() -> None:
    known = [fact("value", f"limit_{number}", str(number), number) for number in range(5)]
    guesser = Guesser(known)
    for one in known:
        assert guesser.guess(one) not in (one.values[0], None)
    assert Guesser([known[0]]).guess(known[0]) is None
    assert Guesser([]).guess(known[0]) is None


@pytest.mark.parametrize("seed", range(5))
def test_no_answerer_without_knowledge_does_better_than_the_guess(seed: int) -> None:
    """Switches that are mostly off, files that names betray, numbers that nothing betrays."""
    drawn = random.Random(seed)
    words = ("cart", "stock", "price", "order", "island", "customer", "refund", "parcel")
    known = [
        *(fact("default", f"has_{number}", drawn.choice(["False"] * 4 + ["True"]), number) for number in range(60)),
        *(fact("location", f"test_{word}_{part}", f"tests/test_{word}.py") for word in words for part in "abcdefgh"),
        *(fact("value", f"limit_{drawn.random()}", str(drawn.randrange(1_000)), number) for number in range(60)),
    ]
    guesser = Guesser(known)
    answers = {kind: [one.values[0] for one in known if one.kind == kind] for kind in ("default", "location", "value")}
    right = Counter()
    for one in known:
        right["guess"] += guesser.guess(one) == one.values[0]
        right["random answer of the kind"] += drawn.choice(answers[one.kind]) == one.values[0]
        right["random answer"] += drawn.choice(known).values[0] == one.values[0]
        right["most frequent of the kind"] += Counter(answers[one.kind]).most_common(1)[0][0] == one.values[0]
    assert right.most_common(1)[0][0] == "guess", right


def test_what_is_asked_about_includes_the_detail() -> None:
    assert asked_about(fact("default", "Client.get", "None", parameter="timeout")) == "Client.get timeout"
