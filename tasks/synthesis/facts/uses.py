"""Facts of who uses what: who calls a function, what it calls itself, what a change of it touches, which tests use it.

Edges come from the graph, resolved through imports and scopes. An edge to the other side of the split is never told;
a list that lacks one for that reason says that it is not whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tasks.synthesis.facts.definitions import is_style
from tasks.synthesis.facts.graph import Edge
from tasks.synthesis.facts.source import MIN_NAME, Source, users
from tasks.text.facts import Fact, Shape
from tasks.text.paths import is_test
from tasks.text.structure import Definition

MAX_LISTED: Final = 12
"""A longer list is told by its number and some of it."""

SHOWN: Final = 6
"""How many members of a longer list are named."""

_CALLABLE: Final = frozenset({"function", "method"})


def facts(source: Source) -> Iterator[Fact]:
    """Uses of what a file defines, in order of lines; none for tests, stories and fixtures."""
    if source.is_test:
        return
    for item in source.definitions:
        if len(item.name) < MIN_NAME or source.graph.symbol(source.path, item.qualified) is None:
            continue
        if item.name.startswith("__") or item.kind == "module" or is_style(source.path, item.name):
            continue
        if "." in item.qualified:  # who calls a method cannot be told from names alone
            if item.kind in _CALLABLE:
                yield from _calls(source, item, (item.first_line, item.last_line))
            continue
        span = (item.first_line, item.last_line)
        edges = source.graph.used(source.path, item.qualified)
        sought = [edge for edge in edges if edge.inside or edge.path != source.path]
        plain = [edge for edge in sought if not is_test(edge.path)]
        calling = [edge for edge in plain if edge.how == "call"]
        if item.kind in _CALLABLE:
            if len({edge.inside for edge in calling}) > 1 or any(edge.path != source.path for edge in calling):
                told = [edge for edge in sought if edge.how == "call"]
                yield from told_users(source, item, told, "caller", span)  # else it is a part of its only caller
            yield from _calls(source, item, span)
        if len({edge.path for edge in plain}) > 1 or any(edge.path != source.path for edge in plain):
            if len(calling) != len(plain) and source.noun(item) != "component":
                yield from told_users(source, item, sought, "reverse-use", span)
            yield from _breaks(source, item, sought, span)
        yield from _tests(source, item, [edge for edge in edges if is_test(edge.path)], span)


def told_users(
    source: Source, item: Definition, edges: Sequence[Edge], kind: str, span: tuple[int, int]
) -> Iterator[Fact]:
    """Who uses a definition: all of them, or of many the number and some; of tests that they use it, too."""
    plain = [edge for edge in edges if not is_test(edge.path)]
    found = users(source, plain)
    partial = any(not source.here(edge.path) for edge in plain)
    if not found or (partial and len(found) < 2):
        return
    names = [(name or path, path) for path, name, _ in found]
    whole = len(names) <= MAX_LISTED and not partial
    shown = names if len(names) <= MAX_LISTED else spread(names, SHOWN)
    words = {
        "thing": source.noun(item),
        "placed": placed(shown),
        "total": "" if whole or partial else str(len(names)),
        "tests": "yes" if len(plain) < len(edges) else "",
        "every": "" if whole or partial else "\n".join(dict.fromkeys(name for name, _ in names)),
    }
    yield source.fact(
        kind if whole else f"{kind}-some",
        item.qualified,
        list(dict.fromkeys(name for name, _ in (names if whole else shown))),
        Shape.ALL if whole else Shape.ANY,
        span,
        scope=source.scope_of(item.qualified),
        rests_on={path for _, path in names},
        **words,
    )


def _calls(source: Source, item: Definition, span: tuple[int, int]) -> Iterator[Fact]:
    edges = [edge for edge in source.graph.made_of(source.path, item.qualified) if edge.how == "call"]
    edges = [edge for edge in edges if edge.target.qualified != item.qualified]
    names = list(dict.fromkeys(edge.target.qualified for edge in edges))
    far = len(names) > 1 or any(edge.target.path != source.path and not _is_error(edge.target.name) for edge in edges)
    if far and 0 < len(names) <= MAX_LISTED and all(source.here(edge.target.path) for edge in edges):
        targets = list(dict.fromkeys((edge.target.qualified, edge.target.path) for edge in edges))
        yield source.fact(
            "calls",
            item.qualified,
            names,
            Shape.ALL,
            span,
            scope=source.scope_of(item.qualified),
            rests_on={path for _, path in targets},
            thing=source.noun(item),
            placed=placed(targets),
        )


def _is_error(name: str) -> bool:
    return name.endswith(("Error", "Exception"))


def _breaks(source: Source, item: Definition, edges: Sequence[Edge], span: tuple[int, int]) -> Iterator[Fact]:
    """Files that a change of a definition touches; of one file the users themselves are told."""
    plain = [edge for edge in edges if not is_test(edge.path)]
    paths = list(dict.fromkeys(edge.path for edge in plain if edge.path != source.path))
    if 1 < len(paths) <= MAX_LISTED:
        yield from _in_files(source, item, "affected-files", paths, span, "yes" if len(plain) < len(edges) else "")


def _tests(source: Source, item: Definition, edges: Sequence[Edge], span: tuple[int, int]) -> Iterator[Fact]:
    paths = list(dict.fromkeys(edge.path for edge in edges if "stor" not in edge.path and "fixture" not in edge.path))
    if 0 < len(paths) <= SHOWN and item.kind != "constant":
        yield from _in_files(source, item, "tested-by", paths, span)


def _in_files(
    source: Source, item: Definition, kind: str, paths: Sequence[str], span: tuple[int, int], tests: str = ""
) -> Iterator[Fact]:
    """In which files something is used, if all of them lie on the source's side."""
    if all(source.here(path) for path in paths):
        scope, thing = source.scope_of(item.qualified), source.noun(item)
        words = {"thing": thing, "tests": tests}
        yield source.fact(kind, item.qualified, paths, Shape.ALL, span, scope=scope, rests_on=paths, **words)


def placed(names: Sequence[tuple[str, str]]) -> str:
    """Names with their files, one a line; a file that is named itself stands alone."""
    return "\n".join(f"- `{name}`" if name == path else f"- `{name}` in `{path}`" for name, path in names)


def spread(names: Sequence[tuple[str, str]], wanted: int) -> list[tuple[str, str]]:
    """A given number of a list's members, evenly spaced."""
    return [names[(2 * place + 1) * len(names) // (2 * wanted)] for place in range(wanted)]
