"""One side of the split as the families see it: its documents, what lies where, what other documents define.

Beside the two sides stands what the snapshot has and the split has not: files that filters, budgets and copies left
out. Nothing of them is told, yet whoever lists the users of something must know that they use it, too.

Only names, places and what families gather are in memory; a document is read again from the split by its offset.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from tasks.base.records import Document, Kind, Split
from tasks.synthesis.index import FILES, Structure, candidates, structure
from tasks.text.facts import Fact, Shape
from tasks.text.languages import is_markdown, language_of

T = TypeVar("T")

SPOKEN: Final = {"tsx": "typescript"}
"""Grammars that are no languages of their own."""


@dataclass(frozen=True)
class Family:
    """Kinds of facts that are found in the same way."""

    name: str
    facts: Callable[[Document, Corpus], Iterable[Fact]]
    """The facts of a document, in a fixed order; pure."""
    gather: Callable[[Document], object | None] | None = None
    """What the family's facts of other documents need to know of a document; pure, small, None if nothing."""


@dataclass(frozen=True)
class Place:
    """Where a document lies in the split."""

    id: str
    kind: str
    repo: str
    path: str
    offset: int


@dataclass
class Names:
    """What the repositories define, on both sides of the split and beside it."""

    paths: set[tuple[str, str]] = field(default_factory=set)
    """(repository, path) of every file."""
    definitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(repository, name) → how many definitions have it, members included."""
    titles: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(repository, heading) → how many sections of pages have it."""
    sides: list[Corpus] = field(default_factory=list)
    """Both sides, then what was left out."""
    made: dict[object, Any] = field(default_factory=dict)
    """What was made of all together."""


class Corpus:
    """The documents of one side; `split` is None of those that were left out."""

    def __init__(self, split: Split | None, file: Path, names: Names) -> None:
        self.split = split
        self._file = file
        self._names = names
        self._places: dict[str, Place] = {}
        self._files: dict[tuple[str, str], str] = {}
        self._defined: dict[tuple[str, str], list[str]] = {}
        self._gathered: dict[str, list[tuple[str, Any]]] = {}
        self._made: dict[object, Any] = {}
        self._remembered = lru_cache(maxsize=256)(self._read)

    def documents(self, *kinds: str) -> Iterator[Document]:
        """The side's documents in stored order, of some kinds or all."""
        with self._file.open("rb") as reader:
            for place, line in zip(self._places.values(), reader, strict=True):
                if not kinds or place.kind in kinds:
                    yield Document.model_validate_json(line)

    def places(self, *kinds: str) -> Iterator[Place]:
        """Where the documents are, without reading them: for whoever needs paths only."""
        return (place for place in self._places.values() if not kinds or place.kind in kinds)

    def document(self, identifier: str) -> Document | None:
        """A document of this side."""
        return self._remembered(identifier) if identifier in self._places else None

    def file(self, repo: str, path: str) -> Document | None:
        """A file of this side."""
        identifier = self._files.get((repo, path))
        return None if identifier is None else self._remembered(identifier)

    def identifier(self, repo: str, path: str) -> str:
        """Id of a file of this side.

        Raises:
            KeyError: this side has no such file.
        """
        return self._files[repo, path]

    def has_file(self, repo: str, path: str) -> bool:
        """Whether this side has a file."""
        return (repo, path) in self._files

    def structure(self, document: Document) -> Structure:
        """A file's definitions and imports; empty without a grammar for it."""
        return structure(document.path, document.text)

    def imported(self, document: Document, module: str) -> str | None:
        """Path of the repository's file, on this side, that an import of `module` in a file leads to."""
        return next((path for path in candidates(document.path, module) if self.has_file(document.repo, path)), None)

    def leads_away(self, document: Document, module: str) -> bool:
        """Whether an import of `module` in a file leads to a file of the repository that this side has not."""
        paths = candidates(document.path, module)
        found = next((path for path in paths if (document.repo, path) in self._names.paths), None)
        return found is not None and not self.has_file(document.repo, found)

    def defining(self, repo: str, name: str) -> Sequence[str]:
        """Ids of this side's files that define a name at top level, in stored order."""
        return self._defined.get((repo, name), ())

    def is_unique(self, repo: str, name: str) -> bool:
        """Whether exactly one definition of the repository, wherever it lies, has a name."""
        return self._names.definitions[repo, name] == 1

    def is_unique_title(self, repo: str, title: str) -> bool:
        """Whether exactly one section of the repository's pages, both sides together, has a heading."""
        return self._names.titles[repo, title] == 1

    def scope(self, document: Document, name: str) -> str:
        """What a question must say besides a definition's name: nothing if it is the only one, else the file's path."""
        return "" if self.is_unique(document.repo, name.rsplit(".", 1)[-1]) else document.path

    def gathered(self, family: str) -> Sequence[tuple[str, Any]]:
        """(document id, result) of a family's `gather`, in stored order."""
        return self._gathered.get(family, ())

    def once(self, function: Callable[[Corpus], T]) -> T:
        """What a function makes of the corpus, made at the first call and remembered."""
        if function not in self._made:
            self._made[function] = function(self)
        found: T = self._made[function]
        return found

    def everywhere(self, function: Callable[[Sequence[Corpus]], T]) -> T:
        """What a function makes of both sides and of what was left out together, made once. Whoever asks it leaves out
        what his side does not have, and knows by it when a list is not whole.
        """
        if function not in self._names.made:
            self._names.made[function] = function(self._names.sides)
        found: T = self._names.made[function]
        return found

    def fact(
        self,
        document: Document,
        kind: str,
        subject: str,
        values: Sequence[str],
        span: tuple[int, int],
        *,
        shape: Shape = Shape.ONE,
        scope: str = "",
        words: Mapping[str, str] | None = None,
        rests_on: Sequence[str] = (),
    ) -> Fact:
        """A fact of a document of this side; its id is a hash of what is asked and answered."""
        assert self.split is not None
        asked = "\0".join([subject, scope, *values, *(f"{key}={word}" for key, word in sorted((words or {}).items()))])
        digest = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return Fact(
            id=f"{document.id}#{kind}/{digest}",
            kind=kind,
            language=language(document),
            subject=subject,
            scope=scope,
            values=tuple(values),
            shape=shape,
            words=dict(words or {}),
            document_id=document.id,
            span=span,
            rests_on=tuple(dict.fromkeys(one for one in rests_on if one != document.id)),
            split=self.split,
        )

    def _read(self, identifier: str) -> Document:
        with self._file.open("rb") as reader:
            reader.seek(self._places[identifier].offset)
            return Document.model_validate_json(reader.readline())

    def _add(self, document: Document, offset: int, families: Sequence[Family]) -> None:
        from tasks.synthesis.pages import sections

        repo, identifier = document.repo, document.id
        self._places[identifier] = Place(identifier, document.kind, repo, document.path, offset)
        if document.kind is Kind.FILE:
            self._files[repo, document.path] = identifier
            self._names.paths.add((repo, document.path))
            for item in structure(document.path, document.text).definitions:
                self._names.definitions[repo, item.name] += 1
                if item.qualified == item.name:
                    self._defined.setdefault((repo, item.name), []).append(identifier)
        if is_page(document):
            self._names.titles.update((repo, section.title) for section in sections(document.text) if section.title)
        for family in families if self.split is not None else ():
            if family.gather is not None and (found := family.gather(document)) is not None:
                self._gathered.setdefault(family.name, []).append((identifier, found))


def corpora(folder: Path, families: Sequence[Family], left_out: Path | None = None) -> list[Corpus]:
    """Both sides of a split that was checked out to `folder`, by one pass over it.

    Args:
        folder: with the files of both sides.
        families: whose `gather` sees every document of a side.
        left_out: documents, one a line, that the snapshot has beside them; None = none.
    """
    names = Names()
    made = [Corpus(split, folder / name, names) for split, name in FILES.items()]
    names.sides = [*made, *([Corpus(None, left_out, names)] if left_out else [])]
    for corpus in names.sides:
        with corpus._file.open("rb") as reader:
            offset = 0
            for line in reader:
                corpus._add(Document.model_validate_json(line), offset, families)
                offset += len(line)
    return made


def is_page(document: Document) -> bool:
    """Whether a document is read as a page with sections: of a wiki, or a Markdown file of the repository."""
    return (document.is_page and not document.is_conversation) or (
        document.kind == Kind.FILE and is_markdown(document.path)
    )


def language(document: Document) -> str:
    """What `Fact.language` says of a document."""
    if document.kind is Kind.PULL:
        return "pull"
    if document.is_page or is_page(document):
        return "markdown"
    found = language_of(document.path)
    return "config" if found is None else SPOKEN.get(found, found)
