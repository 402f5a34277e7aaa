import pytest

from tasks.text.signatures import parameters


@pytest.mark.parametrize(
    ("signature", "language", "expected"),
    [
        ("def add(self, article: str, *, quantity=1, **rest)", "python", ["article", "quantity", "rest"]),
        ("def add(price: dict[str, int], by: tuple[int, ...] = (1, 2))", "python", ["price", "by"]),
        ("function add(article: Article, quantity?: number): void", "typescript", ["article", "quantity"]),
        ("function add({ a, b }: Props)", "tsx", []),
        ("public int add(final Article article, int quantity)", "java", ["article", "quantity"]),
        ("fn add(&mut self, article: &Article) -> u32", "rust", ["article"]),
        ("func add(article Article, quantity int) int", "go", ["article", "quantity"]),
        ("add", "python", []),
    ],
)
def test_parameters_of_a_signature(signature: str, language: str, expected: list[str]) -> None:
    assert parameters(signature, "add", language) == expected
