"""Dependencies with their versions and scripts with their commands, from package manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tasks.base.records import Document, Kind
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.synthesis.manifests import entries
from tasks.text.facts import Fact


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """A manifest's entries in order of lines."""
    for entry in entries(document.path, document.text) if document.kind is Kind.FILE else ():
        span = (entry.line, entry.line)
        words = {"group": entry.group if entry.group != PurePosixPath(document.path).name else ""}
        yield corpus.fact(document, entry.kind, entry.name, [entry.value], span, scope=document.path, words=words)


FAMILY: Final = Family("manifests", facts)
