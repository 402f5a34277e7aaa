"""Syntax trees by tree-sitter: a file's root, its nodes of some types, their text.

A language without a grammar here, a text above `MAX_PARSE_BYTES`, and one that takes the parser too many steps
has no tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from tasks.text.languages import language_of

MAX_PARSE_BYTES: Final = 4_000_000
"""Hand-written source is far below; above it lies data, for which a syntax tree would cost about 30 times the text in
memory.
"""

FREE_STEPS: Final = 2_000
STEPS_PER_KB: Final = 30
"""The parser reports its progress at most 14 times in 1,000 bytes of real sources, 50 times where every line is `f(x)`.
Behind an error that it cannot get over it reports without end: 20 kB of `|-` took Python's grammar a minute.
"""

READ_BYTES: Final = 65_536


@lru_cache(maxsize=64)
def _parser(language: str) -> Any:
    from tree_sitter_language_pack import get_parser

    return get_parser(language)


def tree(path: str, text: str) -> Any | None:
    """The root node of a file's tree, or None if it has none."""
    language = language_of(path)
    return None if language is None or len(text) > MAX_PARSE_BYTES else _parsed(language, text)


@lru_cache(maxsize=2)
def _parsed(language: str, text: str) -> Any | None:
    """Remembers the last trees, since whoever asks for calls asks for imports next.

    Steps are counted, not seconds, so that a text has a tree or has none on every machine.
    """
    parser, source = _parser(language), text.encode("utf-8", "surrogatepass")
    most, taken = FREE_STEPS + STEPS_PER_KB * len(source) // 1000, 0

    def gives_up(_: int, __: bool) -> bool:
        nonlocal taken
        taken += 1
        return taken > most

    try:
        return parser.parse(
            lambda offset, _: source[offset : offset + READ_BYTES], progress_callback=gives_up
        ).root_node
    except ValueError:
        parser.reset()
        return None


@lru_cache(maxsize=64)
def _query(language: str, types: tuple[str, ...]) -> Any | None:
    from tree_sitter import Query
    from tree_sitter_language_pack import get_language

    grammar = get_language(language)
    known = [name for name in types if grammar.id_for_node_kind(name, True) is not None]
    return Query(grammar, f"[{' '.join(f'({name})' for name in known)}] @node") if known else None


def nodes_of(path: str, root: Any, types: tuple[str, ...]) -> list[Any]:
    """All nodes of some types in order of position, an outer node before those in it. The search runs in the parser's
    own code: walking every node of a file in Python took four times as long as parsing it.
    """
    from tree_sitter import QueryCursor

    query = _query(language_of(path) or "", types)
    found = QueryCursor(query).captures(root).get("node", []) if query is not None else []
    return sorted(found, key=lambda node: (node.start_byte, -node.end_byte))


def walk(root: Any) -> Iterator[Any]:
    """All nodes in order of position; a stack instead of recursion, since generated files nest thousands deep."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def text_of(node: Any) -> str:
    """The source text of a node."""
    return str(node.text.decode("utf-8", "replace"))
