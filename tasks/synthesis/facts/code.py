"""The families that read code and configuration: each gets a file with its tree and its repository's graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.base.records import Document, Kind, Split
from tasks.synthesis.facts import (
    behaviours,
    configuration,
    definitions,
    endpoints,
    environment,
    errors,
    hierarchy,
    overviews,
    packages,
    pipelines,
    profiles,
    purposes,
    routes,
    screens,
    types,
    uses,
    values,
    walkthroughs,
)
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.synthesis.facts.graph import Graph
from tasks.synthesis.facts.route_table import RouteTable
from tasks.synthesis.facts.source import Source
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.paths import kind_of_path

MAX_BYTES: Final = 400_000
"""A longer file is data or generated; nobody wrote it by hand."""

OF_CODE: Final = (definitions, uses, types, hierarchy, values, errors, behaviours, purposes, profiles)
OF_FILES: Final = (pipelines, configuration, packages)


@dataclass(frozen=True)
class Repository:
    """What the families know of a whole repository: both sides of the split and what it lacks together."""

    graph: Graph
    routes: RouteTable
    environment: dict[str, list[environment.Reading]]
    requests: dict[str, list[endpoints.Request]]
    folders: overviews.Folders


class _Files:
    """(document id, path, text, side) of a repository's files that are read for facts; can be walked several times."""

    def __init__(self, sides: Sequence[Corpus], repo: str) -> None:
        self._sides, self._repo = sides, repo

    def __iter__(self) -> Iterator[tuple[str, str, str, Split | None]]:
        for side in self._sides:
            for document in side.documents(Kind.FILE):
                if document.repo == self._repo and is_read(document) and _may_be_code(document.path):
                    yield document.id, document.path, document.text, side.split

    def sources(self, graph: Graph) -> Iterator[Source]:
        for side in self._sides:
            for document in side.documents(Kind.FILE):
                if document.repo == self._repo and document.path in graph.modules:
                    yield Source(document, side.split, graph)


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """Facts of a file of code or configuration; none for pages, pull requests, vendored and generated files."""
    if document.kind is not Kind.FILE or not is_read(document):
        return
    repository = corpus.everywhere(repositories)[document.repo]
    source = Source(document, corpus.split, repository.graph)
    for family in OF_FILES:
        yield from _sayable(family.facts(source))
    if document.path not in repository.graph.modules or source.root is None:
        return
    for module in OF_CODE:
        yield from _sayable(module.facts(source))
    yield from _sayable(routes.facts(source, repository.routes))
    yield from _sayable(screens.facts(source))
    yield from _sayable(environment.facts(source, repository.environment))
    yield from _sayable(endpoints.facts(source, repository.routes, repository.requests))
    yield from _sayable(walkthroughs.facts(source, repository.routes, repository.requests))
    yield from _sayable(overviews.facts(source, repository.folders))


def repositories(sides: Sequence[Corpus]) -> dict[str, Repository]:
    """What is known of each repository."""
    found: dict[str, Repository] = {}
    for repo in sorted({place.repo for side in sides for place in side.places(Kind.FILE)}):
        files = _Files(sides, repo)
        graph = Graph(files)
        table = RouteTable(graph, files.sources(graph))
        found[repo] = Repository(
            graph,
            table,
            environment.readings(files.sources(graph)),
            endpoints.requests(files.sources(graph), table),
            overviews.folders(graph, files),
        )
    return found


def is_read(document: Document) -> bool:
    """Whether a file is one that somebody wrote by hand."""
    kind = kind_of_path(document.path)
    return len(document.text) <= MAX_BYTES and (kind is None or kind.kind == "data")


def _may_be_code(path: str) -> bool:
    return language_of(path) is not None or path.endswith("go.mod")


def _sayable(found: Iterable[Fact]) -> Iterator[Fact]:
    """Without facts whose words would break the sentence around them."""
    return (
        fact
        for fact in found
        if (fact.shape is Shape.PROSE or all("`" not in value for value in fact.values))
        and "`" not in fact.subject
        and (fact.kind == "ci-step" or all("\n" not in value for value in (fact.subject, *fact.values)))
    )


FAMILY: Final = Family("code", facts)
