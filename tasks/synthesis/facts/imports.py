"""Which modules a file imports and what it takes from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks.base.records import Document, Kind
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.text.facts import Fact, Shape
from tasks.text.imports import Import

MAX_LISTED: Final = 12
"""Longer lists of names are not worth learning by heart."""


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """What a file takes from each of the repository's own files, in order of lines."""
    if document.kind is not Kind.FILE:
        return
    lines = document.text.split("\n")
    for item in corpus.structure(document).imports:
        span, names = import_span(item, lines), [name for name in dict.fromkeys(item.names) if name]
        path = corpus.imported(document, item.module)
        if span is None or not names or len(names) > MAX_LISTED or path is None or path == document.path:
            continue
        words = {"module": item.module, "target": path}
        target = corpus.file(document.repo, path)
        rests_on = [target.id] if target else []
        yield corpus.fact(
            document, "import", document.path, names, span, shape=Shape.ALL, words=words, rests_on=rests_on
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
