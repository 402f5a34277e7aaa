"""A code file as the families see it, and the making of a fact of it."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tasks.base.records import Document, Split
from tasks.synthesis.facts.graph import Edge, Graph, Symbol
from tasks.synthesis.facts.syntax import CallSite, call_sites
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.paths import is_test
from tasks.text.structure import Definition, definitions
from tasks.text.syntax_tree import tree

_NOUNS: Final = {
    "class": "class",
    "constant": "constant",
    "enum": "enum",
    "function": "function",
    "interface": "interface",
    "method": "method",
    "module": "module",
    "type": "type",
}
MIN_NAME: Final = 4
"""Shorter names (`x`, `id`, `app`) are asked for nowhere: the question would not be about anything in particular."""


@dataclass(frozen=True)
class Source:
    """A code file with its tree, its definitions and the repository's graph."""

    document: Document
    split: Split | None
    """None of a file that was left out: it is read for what others say of it, and has no facts."""
    graph: Graph

    @property
    def path(self) -> str:
        """Of the file."""
        return self.document.path

    @property
    def language(self) -> str:
        """As facts name it: `typescript` for both of its grammars."""
        found = language_of(self.document.path) or "config"
        return "typescript" if found == "tsx" else found

    @cached_property
    def root(self) -> Any:
        """Root of the syntax tree, or None."""
        return tree(self.document.path, self.document.text)

    @cached_property
    def definitions(self) -> list[Definition]:
        """In order of their first line."""
        return definitions(self.document.path, self.document.text)

    @cached_property
    def lines(self) -> list[str]:
        """Without line ends."""
        return self.document.text.split("\n")

    @cached_property
    def calls(self) -> list[CallSite]:
        """In order of position."""
        return call_sites(self.document.path, self.root) if self.root is not None else []

    @cached_property
    def is_test(self) -> bool:
        """Whether it is a test, a story or a fixture."""
        return is_test(self.document.path)

    def inside(self, line: int) -> Definition | None:
        """The innermost definition around a line."""
        begun = self.definitions[: bisect_right(self._first_lines, line)]
        return next((item for item in reversed(begun) if line <= item.last_line), None)

    @cached_property
    def _first_lines(self) -> list[int]:
        return [item.first_line for item in self.definitions]

    def fact(
        self,
        kind: str,
        subject: str,
        values: Sequence[str],
        shape: Shape,
        span: tuple[int, int],
        *,
        scope: str = "",
        rests_on: Iterable[str] = (),
        **words: str,
    ) -> Fact:
        """A fact of this file.

        Args:
            kind: what is asked.
            subject: see `Fact`.
            values: see `Fact`.
            shape: see `Fact`.
            span: see `Fact`.
            scope: see `Fact`.
            rests_on: paths of other files of the graph.
            words: further slots.
        """
        identity = "\0".join([kind, subject, scope, *values[:3], str(span[0])])
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        others = {self.graph.modules[path].document_id for path in rests_on if path in self.graph.modules}
        return Fact(
            id=f"{self.document.id}#{kind}/{digest}",
            kind=kind,
            language=self.language,
            subject=subject,
            scope=scope,
            values=tuple(values),
            shape=shape,
            words={name: word for name, word in words.items() if word},
            document_id=self.document.id,
            span=span,
            rests_on=tuple(sorted(others - {self.document.id})),
            split=self._side,
        )

    @property
    def _side(self) -> Split:
        assert self.split is not None, f"{self.path} was left out"
        return self.split

    def here(self, path: str) -> bool:
        """Whether a file lies on this file's side of the split."""
        module = self.graph.modules.get(path)
        return module is not None and module.split is self.split

    def scope_of(self, qualified: str) -> str:
        """What a name of this file needs to be unambiguous: nothing, or the file's path.

        `Client.get` is clear where `get` or `Client` means one thing in the repository.
        """
        outer, _, last = qualified.rpartition(".")
        return "" if any(name and self.graph.is_unique(name) for name in (last, outer)) else self.document.path

    def noun(self, item: Definition | Symbol) -> str:
        """What people call a definition of the file."""
        return noun(self.document.path, item)


def noun(path: str, item: Definition | Symbol) -> str:
    """What people call a definition: the component `ProductSwitch`, the hook `useConsent`, the struct `Server`."""
    language = language_of(path)
    if isinstance(item, Definition) and re.match(r"@(\w+\.)?(cached_)?property\b", item.signature):
        return "property"
    if language in ("tsx", "javascript", "typescript") and item.kind in ("function", "constant"):
        if re.fullmatch(r"use[A-Z]\w*", item.name):
            return "hook"
        if (
            item.kind == "function"
            and path.endswith(("x", ".js"))
            and re.fullmatch(r"[A-Z](?:(?![a-z])\w)*+[a-z]\w*", item.name)
        ):
            return "component"
    if item.kind == "class" and language in ("go", "rust", "c", "cpp"):
        return "struct"
    if item.kind == "type" and language == "go":
        return "type"
    if item.kind == "interface" and language == "rust":
        return "trait"
    return _NOUNS.get(item.kind, "definition")


def in_words(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}" if quoted else ""


def users(source: Source, edges: Iterable[Edge]) -> list[tuple[str, str, int]]:
    """(path, qualified name, line) of distinct users on the source's side, in order of path and line; what no
    definition encloses is the file itself, with an empty name.
    """
    found: dict[tuple[str, str], int] = {}
    for edge in edges:
        if source.here(edge.path):
            found.setdefault((edge.path, edge.inside), edge.line)
    return [(path, name, line) for (path, name), line in sorted(found.items())]
