"""The control that knows every trained fact but the one that is asked."""

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


def test_what_is_asked_about_includes_the_detail() -> None:
    assert asked_about(fact("default", "Client.get", "None", parameter="timeout")) == "Client.get timeout"
