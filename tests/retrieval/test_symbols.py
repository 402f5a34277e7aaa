"""What the sources say about a name: definitions whole, uses line by line, code first."""

from tasks.retrieval.passages import passages
from tasks.retrieval.symbols import MAX_USES, explain
from tests.evaluation.conftest import CART, document

SHOP = "from src.cart import ShoppingCart\n\ncart = ShoppingCart()\ncart.add_article('tea', 2)\n"
PAGE = "# Cart\n\nCall `add_article` for each; not `readd_article`.\n"


def test_symbol_is_told_where_it_is_defined_and_used() -> None:
    found = list(
        passages([document("docs/cart.md", PAGE), document("shop.py", SHOP), document("src/cart.py", CART)], 100)
    )
    for name in ("add_article", "ShoppingCart.add_article"):
        told = explain(name, found)
        (defined,) = told.definitions
        assert "def add_article(self, article, quantity):" in defined.text
        assert [(one.place, one.text) for one in told.uses] == [
            ("shop.py:4-4 @ aaaaaaaa", "cart.add_article('tea', 2)"),
            ("docs/cart.md:3-3 @ aaaaaaaa", "Call `add_article` for each; not `readd_article`."),
        ]
    assert explain("article", found).definitions == ()
    assert explain("nothing_such", found) == explain("nothing_such", [])


def test_uses_beyond_the_limit_are_counted() -> None:
    found = list(passages([document(f"a{number}.py", "use_me()\n") for number in range(MAX_USES + 3)], 100))
    told = explain("use_me", found)
    assert (len(told.uses), told.more) == (MAX_USES, 3)
