"""Passages: whole definitions and sections where they fit, every line in one passage, headings that name what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tasks.base.records import Document, Kind
from tasks.retrieval.passages import Passage, passages
from tests.evaluation.conftest import CART, GUIDE, document

LINES = some.sampled_from(
    ["def f(a):", "    return a", "class C:", "    def m(self):", "", "# Head", "## Part", "x = 1", "a" * 70]
)


def cut(source: Document, tokens: int) -> list[Passage]:
    return list(passages([source], tokens))


@given(some.lists(LINES, min_size=1, max_size=60), some.sampled_from(["a.py", "a.md", "a.txt"]), some.integers(32, 90))
def test_passages_of_a_document_join_to_its_text(lines: list[str], path: str, tokens: int) -> None:
    text = "\n".join(lines)
    found = cut(document(path, text), tokens)
    assert "\n".join(one.body for one in found) == text
    assert [one.span[0] for one in found[1:]] == [one.span[1] + 1 for one in found[:-1]]


def test_definition_that_fits_is_whole_and_a_class_that_does_not_is_its_members() -> None:
    whole = cut(document("src/cart.py", CART), 130)
    (cart,) = [one for one in whole if "ShoppingCart.add_article" in one.symbols or "ShoppingCart" in one.symbols]
    assert cart.body.lstrip().startswith("class ShoppingCart:")
    assert cart.body.rstrip().endswith("return self.articles[article]")
    parts = cut(document("src/cart.py", CART), 100)
    (method,) = [one for one in parts if "ShoppingCart.add_article" in one.symbols]
    assert method.body.startswith("    def add_article(")
    assert method.body.rstrip().endswith("return self.articles[article]")
    assert method.heading == (f"src/cart.py, lines {method.span[0]} to {method.span[1]} ({', '.join(method.symbols)})")


def test_section_of_a_page_is_a_passage_with_the_titles_above_it() -> None:
    found = cut(document("docs/guide.md", GUIDE * 1 + "words " * 60), 40)
    assert ("Guide", "Return policy") in [one.symbols for one in found]
    assert all(one.body.count("##") <= 1 for one in found)


def test_pull_request_is_named_and_tells_what_is_beside_its_text() -> None:
    pull = document(
        "12", "Sells more.", Kind.PULL, merged_at="2023-12-01T00:00:00Z",
        files=[{"path": "src/cart.py", "status": "modified", "patch": "@@ -1 +1 @@\n-a\n+b"}],
        comments=[{"author": "ann", "created_at": None, "body": "Why not earlier?"}],
    )  # fmt: skip
    text, beside = cut(pull, 100)
    assert text.heading == "pull request 12: 12, lines 1 to 1"
    assert beside.span == (0, 0)
    assert beside.body.split("\n") == [
        "Merged at: 2023-12-01T00:00:00Z",
        "Changed: src/cart.py (modified)",
        "Why not earlier?",
    ]


@pytest.mark.parametrize("text", ["", "\n", "x" * 5000])
def test_odd_documents_have_passages_of_bounded_length(text: str) -> None:
    found = cut(document("a.py", text), 100)
    assert len(found) == 1
    assert len(found[0].body) <= 720
