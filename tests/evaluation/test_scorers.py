"""Scorers and abstention on the edges of what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tasks.evaluation import scorers
from tasks.evaluation.params import ItemsParams
from tasks.evaluation.scorers import abstains
from tasks.evaluation.scoring import kind_of, parses
from tests.evaluation.conftest import CART, asked_of, document


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("The Cart.", ["cart"], 1),
        ("cart", ["basket", "cart"], 1),
        ("shopping cart", ["cart"], 0),
        ("snake_case", ["snake case"], 0),
        ("", [""], 0),
        ("the", ["a"], 0),
        ("ＣＡＲＴ", ["cart"], 1),
    ],
)
def test_exact_match(answer: str, references: list[str], expected: float) -> None:
    assert scorers.exact_match(answer, references) == expected


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("It is Paris, of course.", ["Paris"], 1),
        ("Parisian", ["Paris"], 0),
        ("central processing unit", ["processing central"], 0),
        ("anything", [""], 0),
    ],
)
def test_contains(answer: str, references: list[str], expected: float) -> None:
    assert scorers.contains(answer, references) == expected


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("red green", ["green blue"], 0.5),
        ("red red", ["red"], 2 / 3),
        ("nothing alike", ["green"], 0),
        ("green", ["blue", "green"], 1),
        ("", ["green"], 0),
    ],
)
def test_token_f1(answer: str, references: list[str], expected: float) -> None:
    assert scorers.token_f1(answer, references) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("src/a/cart.py", ["src/a/cart.py"], 1),
        ("It is defined in `./src/a/cart.py`.", ["src/a/cart.py"], 1),
        ("shop/src/a/cart.py", ["src/a/cart.py"], 1),
        ("cart.py", ["src/a/cart.py"], 0),
        ("cart.py", ["src/a/cart.py", "cart.py"], 1),
        ("wrong/cart.py", ["src/a/cart.py", "cart.py"], 0),
        ("src/b.py or src/a/cart.py", ["src/a/cart.py"], 0),
        ("README.md", ["README.md"], 1),
        ("Makefile", ["Makefile"], 1),
        ("I do not know", ["src/a/cart.py"], 0),
        ("Return policy", ["Return policy"], 1),
        ("", ["x"], 0),
    ],
)
def test_path_match(answer: str, references: list[str], expected: float) -> None:
    assert scorers.path_match(answer, references) == expected


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("article, quantity", ["article, quantity"], 1),
        ("1. article\n2. quantity", ["article, quantity"], 1),
        ("(article, quantity)", ["article, quantity"], 1),
        ("def f(article: str, quantity: int = 3)", ["article, quantity"], 1),
        ("The parameters are `article` and `quantity`.", ["article, quantity"], 1),
        ("`article` and", ["article"], 1),
        ("quantity, article", ["article, quantity"], 0),
        ("article, quantity, colour", ["article, quantity"], 0),
        ("", ["article"], 0),
    ],
)
def test_sequence_match_reads_lists_and_signatures_and_minds_the_order(
    answer: str, references: list[str], expected: float
) -> None:
    assert scorers.sequence_match(answer, references) == expected


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("quantity, article", ["article, quantity"], 1),
        ("- article\n- quantity", ["article, quantity"], 1),
        ("`Article()` and `quantity`", ["article, quantity"], 1),
        ("article", ["article, quantity"], 2 / 3),
        ("article, quantity, colour, size", ["article, quantity"], 2 / 3),
        ("the-repo/src/a.py", ["src/a.py"], 1),
        ("a.py", ["src/a.py"], 0),
        ("colour", ["article"], 0),
        ("", ["article"], 0),
    ],
)
def test_list_f1_takes_entries_in_any_order(answer: str, references: list[str], expected: float) -> None:
    assert scorers.list_f1(answer, references) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("It is `True`.", ["True"], 1),
        ("true", ["True"], 1),
        ('"EUR"', ["'EUR'"], 1),
        ("3", ["3"], 1),
        ("13", ["3"], 0),
        ("3.5", ["3"], 0),
        ("0.3", ["3"], 0),
        ("None", ["None", "null"], 1),
        ("NoneType", ["None"], 0),
        ("h2>=3,<5", [">=3,<5"], 1),
        ("yarn build  && yarn start", ["yarn build && yarn start"], 1),
        ("Client.get", ["get"], 0),
        ("client.get", ["Client.get"], 1),
        ("word " * 61 + "True", ["True"], 0),
        ("", ["True"], 0),
    ],
)
def test_literal_match_takes_the_value_as_it_is_written(answer: str, references: list[str], expected: float) -> None:
    assert scorers.literal_match(answer, references) == expected


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("2 + 3 = 5", ["5"], 1),
        ("1,000", ["1000"], 1),
        ("50%", ["0.5"], 0),
        ("50%", ["50"], 1),
        ("-3", ["3"], 0),
        ("5 apples, 6 pears", ["5"], 0),
        ("none", ["0"], 0),
    ],
)
def test_number_match(answer: str, references: list[str], expected: float) -> None:
    assert scorers.number_match(answer, references) == expected


def test_identifier_f1_counts_sets_and_case() -> None:
    assert scorers.identifier_f1("total = cart.total", ["cart.total"]) == 1
    assert scorers.identifier_f1("Cart", ["cart"]) == 0
    assert scorers.identifier_f1("```python\nfoo(bar)\n```", ["foo(baz)"]) == 0.5
    assert scorers.identifier_f1("+-*", ["+"]) == 0


def test_edit_similarity_reads_the_fenced_block_and_forgives_trailing_spaces() -> None:
    assert scorers.edit_similarity("Sure:\n```python\nx = 1  \n```\nDone.", ["x = 1"]) == 1
    assert scorers.edit_similarity("abcd", ["abxd"]) == 0.75
    assert scorers.edit_similarity("   ", ["x"]) == 0


def test_code_of_an_unclosed_fence_runs_to_the_end() -> None:
    assert scorers.code_of("```py\nx = 1\ny = 2") == "x = 1\ny = 2"


def test_longest_verbatim_run_counts_adjacent_words() -> None:
    assert scorers.longest_verbatim_run("a b c x d e", "z b c d e f") == 2
    assert scorers.longest_verbatim_run("", "a") == 0


def test_longest_verbatim_run_of_a_hundred_kilobytes_is_bounded() -> None:
    assert scorers.longest_verbatim_run("word " * 20_000, "word " * 50) == 50


@given(some.text(max_size=200), some.text(min_size=1, max_size=200))
def test_every_scorer_stays_between_zero_and_one(answer: str, reference: str) -> None:
    for scorer in (
        scorers.exact_match,
        scorers.contains,
        scorers.token_f1,
        scorers.identifier_f1,
        scorers.sequence_match,
        scorers.list_f1,
        scorers.literal_match,
        scorers.path_match,
        scorers.number_match,
        scorers.edit_similarity,
    ):
        assert 0 <= scorer(answer, [reference]) <= 1
        assert scorer("", [reference]) == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I do not know.", True),
        ("I don’t know which file that is.", True),
        ("There is no such function in shop.", True),
        ("The repository does not contain `foo`.", True),
        ("I'm not sure, but it may be src/cart.py", True),
        ("src/cart.py", False),
        ("", False),
        ("x" * 300 + " I do not know", False),
        ("Unknown.", True),
        ("No such function.", True),
        ("rawtune has no function of that name", True),
        ("It raises NotFound if the article is unknown", False),
        ("Checks that the file does not exist", False),
        ("Returns None if there is no such article", False),
        ("find_missing, not_found", False),
    ],
)
def test_abstention_is_read_from_the_beginning(answer: str, expected: bool) -> None:
    assert abstains(answer) is expected


def test_code_parses_from_its_beginning_on() -> None:
    item = next(
        one
        for one in asked_of([document("src/cart.py", CART)], [], ItemsParams(items=90, general_items=0))
        if kind_of(one) == "code"
    )
    assert parses(item, item.answers[0]) is True
    assert parses(item, "        return 1") is True
    assert parses(item, "    def (((") is False


def test_code_whose_reference_does_not_parse_is_not_judged() -> None:
    cut = asked_of([document("src/cart.py", CART)], [], ItemsParams(items=90, general_items=0))
    item = next(one for one in cut if kind_of(one) == "code")
    assert parses(item.model_copy(update={"answers": ("        known = (",)}), "        return 1") is None
