"""What a file takes from the repository's other files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks.base.records import Document, Kind
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.synthesis.facts.source import in_words
from tasks.text.facts import Fact, Shape
from tasks.text.imports import Import
from tasks.text.paths import is_test

MAX_LISTED: Final = 12
"""Longer lists of names are not worth learning by heart."""
MIN_NAMES: Final = 3
"""So many names of one file are asked for by themselves."""


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """All that a file takes from the repository's own files, and what it takes from one where that is much."""
    if document.kind is not Kind.FILE:
        return
    lines = document.text.split("\n")
    taken: list[tuple[str, list[str], tuple[int, int]]] = []
    whole = True
    for item in corpus.structure(document).imports:
        span, names = import_span(item, lines), [name for name in dict.fromkeys(item.names) if name]
        path = corpus.imported(document, item.module)
        if path is None:
            whole = whole and not corpus.leads_away(document, item.module)
            continue
        if span is None or not names or len(names) > MAX_LISTED or path == document.path:
            whole = False
            continue
        taken.append((path, names, span))
        words = {"module": item.module, "target": path}
        if len(names) >= MIN_NAMES:
            yield corpus.fact(
                document, "import", document.path, names, span, shape=Shape.ALL, words=words,
                rests_on=[corpus.identifier(document.repo, path)],
            )  # fmt: skip
    paths = list(dict.fromkeys(path for path, _, _ in taken))
    if whole and len(paths) == len(taken) and 1 < len(paths) <= MAX_LISTED and not is_test(document.path):
        yield corpus.fact(
            document,
            "depends-on",
            document.path,
            paths,
            (taken[0][2][0], taken[-1][2][1]),
            shape=Shape.ALL,
            words={"placed": "\n".join(f"- {in_words(names)} of `{path}`" for path, names, _ in taken)},
            rests_on=[corpus.identifier(document.repo, path) for path in paths],
        )


def import_span(item: Import, lines: list[str]) -> tuple[int, int] | None:
    """Lines from the import's first to the one that has both its module and the last of its names; None beyond 100."""
    missing = {item.module, *item.names}
    for number in range(item.line, min(len(lines), item.line + 100) + 1):
        missing = {word for word in missing if word not in "\n".join(lines[item.line - 1 : number])}
        if not missing:
            return (item.line, number)
    return None


FAMILY: Final = Family("imports", facts)
