"""Which of the repository's own functions a function calls, by imports and scopes; never by name alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks.base.records import Document, Kind
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.synthesis.facts.definitions import MIN_NAME
from tasks.text.facts import Fact, Shape
from tasks.text.signatures import parameters

MAX_LISTED: Final = 12


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """By definition, the own functions that it calls by their bare name: defined once in the file, or imported from a
    file of this side that defines them.
    """
    if document.kind is not Kind.FILE:
        return
    tree = corpus.structure(document)
    own = own_names(document, corpus)
    found: dict[str, dict[str, str]] = {}
    for call in tree.calls:
        if call.target == call.name and call.inside and call.name in own and call.name != call.inside:
            found.setdefault(call.inside, {})[call.name] = own[call.name]
    for item in tree.definitions:
        called = found.get(item.qualified, {})
        nested = {one.name for one in tree.definitions if one.qualified.startswith(f"{item.qualified}.")}
        shadowed = {*parameters(item.signature, item.name, ""), *nested}
        names = [name for name in called if name not in shadowed]
        if names and len(names) <= MAX_LISTED and len(item.name) >= MIN_NAME:
            yield corpus.fact(
                document,
                "calls",
                item.qualified,
                names,
                (item.first_line, item.last_line),
                shape=Shape.ALL,
                scope=corpus.scope(document, item.qualified),
                words={"thing": item.kind},
                rests_on=[called[name] for name in names],
            )


def own_names(document: Document, corpus: Corpus) -> dict[str, str]:
    """Names that mean a definition of the repository in this file → id of the file that defines it."""
    tree = corpus.structure(document)
    found: dict[str, str] = {}
    for item in tree.imports:
        path = corpus.imported(document, item.module)
        target = corpus.file(document.repo, path) if path else None
        if target is not None and target.id != document.id:
            defined = {one.qualified for one in corpus.structure(target).definitions}
            found |= {name: target.id for name in item.names if name in defined}
    found |= {item.name: document.id for item in tree.definitions if item.qualified == item.name}
    return found


FAMILY: Final = Family("calls", facts)
