"""The repository as a graph: definitions, and which definition uses which. One for all families.

Built in two passes over the code files. It holds names and places only, never texts or trees, so its memory grows
with the number of files, names and edges. A name leads to a definition through imports and scopes; where it does not,
there is no edge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

from tasks.base.records import Split
from tasks.synthesis.facts.name_spaces import FAMILIES, PACKAGED, NameSpaces, go_module_of, package_of
from tasks.text.bindings import BINDS, EVERYTHING, Binding, bindings, package, public_names
from tasks.text.languages import MODULE, language_of
from tasks.text.references import SELVES, How, references
from tasks.text.structure import Definition, definitions
from tasks.text.syntax_tree import tree

T = TypeVar("T")

MAX_HOPS: Final = 8
"""Re-exports that are followed for one name."""

_MESSAGE: Final = re.compile(
    r"\b(?:raise|throw|Errorf?|New|Exception|Errors?)\b[^\n\"'`()]{0,80}[(,]\s{0,80}([\"'`])([^\n\"`]{3,200}?)\1"
)


@dataclass(frozen=True)
class Symbol:
    """A definition of the repository."""

    path: str
    qualified: str
    name: str
    kind: str
    first: int
    last: int


@dataclass(frozen=True)
class Edge:
    """One place where a definition (or a file, outside of all of them) uses another definition."""

    path: str
    inside: str
    """Qualified name of the using definition; empty at file level."""
    line: int
    target: Symbol
    how: How


@dataclass
class Module:
    """What is known of one code file."""

    path: str
    split: Split | None
    """Its side; None of a file that was left out, of which nothing may be told."""
    document_id: str
    key: str
    """Its name space: its path, or its package."""
    symbols: dict[str, Symbol]
    """By qualified name, where the file defines it once."""
    bindings: tuple[Binding, ...]
    lines: int
    exports: dict[str, str] = field(default_factory=dict)
    """Exported name → own name, where they differ."""
    public: tuple[str, ...] | None = None
    """What `import *` gives of it, where it says so itself."""


class Graph:
    """Definitions and edges of one repository.

    Args:
        files: (document id, path, text, side) of its code files; walked twice.
    """

    def __init__(self, files: Iterable[tuple[str, str, str, Split | None]]) -> None:
        self.modules: dict[str, Module] = {}
        self._by_key: dict[str, list[str]] = {}
        self._made: dict[object, Any] = {}
        self._name_spaces = NameSpaces(self.modules, self._by_key)
        self._names: Counter[str] = Counter()
        self._bound: Counter[str] = Counter()
        self._foreign: set[str] = set()
        self._spaces: dict[str, dict[str, Symbol | None]] = {}
        self._folders: set[str] = set()
        for identifier, path, text, split in files:
            if PurePosixPath(path).name == "go.mod":
                self._name_spaces.go_module = self._name_spaces.go_module or go_module_of(text)
            if language_of(path):
                self._add(identifier, path, text, split)
        for module in self.modules.values():
            space = self._spaces.setdefault(module.key, {})
            for symbol in module.symbols.values():
                if "." not in symbol.qualified and symbol.kind != MODULE:
                    known = space.get(symbol.name, symbol)
                    same = known is not None and (known.path, known.qualified) == (symbol.path, symbol.qualified)
                    space[symbol.name] = symbol if same else None
        self.messages: Counter[str] = Counter()
        """How often code raises an error with a plain message, over all files."""
        for _, path, text, _ in files:
            if path in self.modules:
                self.messages.update(match[2] for match in _MESSAGE.finditer(text))
        self.uses: dict[str, list[Edge]] = {}
        """Edges by the path of the using file, in order of lines."""
        taken: dict[tuple[str, str], dict[str, Symbol]] = {}
        for module in self.modules.values():
            for symbol in self._taken(module):
                if symbol.path != module.path:
                    taken.setdefault((symbol.path, symbol.qualified), {})[module.path] = symbol
        self._used: dict[tuple[str, str], list[Edge]] = {}
        for _, path, text, _ in files:
            if path in self.modules:
                self.uses[path] = edges = list(self._edges(path, text))
                for edge in edges:
                    self._used.setdefault((edge.target.path, edge.target.qualified), []).append(edge)
        for key, takers in taken.items():  # a file that only hands a name on breaks without it, too
            found = self._used.setdefault(key, [])
            mute = takers.keys() - {edge.path for edge in found}
            found += [Edge(path, "", 1, takers[path], "value") for path in sorted(mute)]

    def once(self, function: Callable[[Graph], T]) -> T:
        """What a function makes of the graph, made at the first call and kept as long as the graph."""
        if function not in self._made:
            self._made[function] = function(self)
        found: T = self._made[function]
        return found

    @cached_property
    def importers(self) -> dict[str, set[str]]:
        """Paths by the package that they import: `lodash` of `lodash/fp`, `@scope/name`, `yaml` of `yaml.nodes`; of Go
        the whole import path.
        """
        found: dict[str, set[str]] = {}
        for path, module in self.modules.items():
            language = language_of(path) or ""
            for one in module.bindings:
                name = one.module
                if language == "python":
                    name = name.split(".")[0].lower()
                elif language == "rust":
                    name = name.split("::")[0]
                elif language != "go":
                    name = "/".join(name.split("/")[: 2 if name.startswith("@") else 1])
                if name:
                    found.setdefault(name, set()).add(path)
        return found

    def used(self, path: str, qualified: str) -> list[Edge]:
        """Edges that lead to a definition from anywhere but itself, by path and line."""
        found = self._used.get((path, qualified), ())
        return [edge for edge in found if (edge.path, edge.inside) != (path, qualified)]

    def made_of(self, path: str, qualified: str) -> list[Edge]:
        """Edges from a definition (its members included) to others, in order of lines."""
        own = f"{qualified}."
        return [
            edge
            for edge in self.uses.get(path, ())
            if edge.inside == qualified or (qualified and edge.inside.startswith(own))
        ]

    def is_unique(self, name: str) -> bool:
        """Whether a name means one thing in the repository: one definition has it, members, nested functions and local
        variables included, and no file imports it from elsewhere.
        """
        return self._names[name] == 1 and self._bound[name] <= 1 and name not in self._foreign

    def is_defined(self, name: str) -> bool:
        """Whether anything is defined under that name."""
        return self._names[name] > 0

    def symbol(self, path: str, qualified: str) -> Symbol | None:
        """A file's definition, if the file has one of that qualified name."""
        module = self.modules.get(path)
        return module.symbols.get(qualified) if module else None

    def resolve(self, path: str, name: str, members: tuple[str, ...] = ()) -> Symbol | None:
        """The definition that `name` (or `name.member`) means at the top level of a file, or None."""
        return self._resolved(path, name, members)[0]

    def _resolved(self, path: str, name: str, members: tuple[str, ...]) -> tuple[Symbol | None, bool]:
        """The definition, and whether members of it are left over that it does not define."""
        module = self.modules.get(path)
        found = self._local(module, name, MAX_HOPS) if module else None
        rest = list(members)
        while isinstance(found, str) and rest:
            found = self._member(found, rest.pop(0), MAX_HOPS)
        if isinstance(found, str) or found is None:
            return None, False
        inner = self.modules[found.path].symbols.get(f"{found.qualified}.{rest[0]}") if rest else None
        return (inner, len(rest) > 1) if inner else (found, bool(rest))

    def module_of(self, path: str, written: str) -> str | None:
        """The name space that a module, as written in a file, means: a path or a package; None if not the
        repository's.
        """
        return self._space(self.modules[path], written) if path in self.modules else None

    def _taken(self, module: Module) -> Iterator[Symbol]:
        """The definitions of other files that a file imports; notes names that it has from elsewhere."""
        for one in module.bindings:
            if one.local == EVERYTHING:
                space = self._space(module, one.module) if one.module else None
                yield from self._given(space, MAX_HOPS) if module.key == module.path else ()
            elif one.module:
                found = self._bound_to(module, one, MAX_HOPS)
                if isinstance(found, Symbol):
                    yield found
                else:
                    self._foreign.add(one.local)

    def _given(self, space: str | None, hops: int) -> Iterator[Symbol]:
        """The definitions that `import *` gives of a module; a package hands on what it takes itself."""
        if space is None:
            return
        module = self.modules.get(space)
        if module is not None and module.public is not None:
            found = (self._member(space, name, hops) for name in module.public)
            yield from (symbol for symbol in found if isinstance(symbol, Symbol))
            return
        named = self._spaces.get(space, {}).items()
        yield from (symbol for name, symbol in named if symbol is not None and not name.startswith("_"))
        if module is None or not space.endswith("__init__.py") or not hops:
            return
        for one in module.bindings:
            if one.local != EVERYTHING:
                given = self._bound_to(module, one, hops) if one.exported and not one.local.startswith("_") else None
                yield from [given] if isinstance(given, Symbol) else ()
            elif (inner := self._space(module, one.module)) != space:
                yield from self._given(inner, hops - 1)

    def _add(self, identifier: str, path: str, text: str, split: Split | None) -> None:
        root = tree(path, text)
        if root is None:
            return
        language = language_of(path) or ""
        found = [item for item in definitions(path, text) if language != "rust" or item.kind != MODULE]  # `impl`
        times = Counter(item.qualified for item in found)
        self._names.update({item.name for item in found if times[item.qualified] > 1})
        bound = tuple(bindings(path, root))
        lent = {one.local for one in bound if one.module and not one.exported}  # `const X = lazy(() => import(…))`
        symbols = {
            item.qualified: _symbol(path, item)
            for item in found
            if times[item.qualified] == 1 and item.qualified not in lent
        }
        self._names.update(symbol.name for symbol in symbols.values())
        key = path
        if language in PACKAGED:
            key = f"{FAMILIES.get(language, language)}:{package_of(path, language, package(path, root))}"
        exports = {one.local: one.imported for one in bound if not one.module and one.exported}
        alike = {one.local for one in bound if one.local in lent and one.imported != EVERYTHING}
        self._bound.update(name for name in BINDS.findall(text) if name not in alike)
        lines = text.count("\n") + 1
        public = public_names(path, text)
        self.modules[path] = Module(path, split, identifier, key, symbols, bound, lines, exports, public)
        self._by_key.setdefault(key, []).append(path)
        self._folders.add(str(PurePosixPath(path).parent))

    def _local(self, module: Module, name: str, hops: int) -> Symbol | str | None:
        """What a name means inside a file: its own definition, a binding, its package, a wildcard."""
        own = self._spaces.get(module.path, {}) if module.key == module.path else {}
        if name in own:
            return own[name]
        if name in module.symbols and module.key != module.path:
            return module.symbols[name]
        for binding in module.bindings:
            if binding.local == name and binding.module:
                return self._bound_to(module, binding, hops)
        if module.key != module.path and (found := self._spaces.get(module.key, {}).get(name)):
            return found
        for binding in module.bindings:
            if binding.local == EVERYTHING and hops:
                space = self._space(module, binding.module)
                other = self.modules.get(space or "")
                is_hidden = other is not None and other.public is not None and name not in other.public
                found_there = self._member(space, name, hops - 1) if space and not is_hidden else None
                if found_there:
                    return found_there
        return None

    def _bound_to(self, module: Module, binding: Binding, hops: int) -> Symbol | str | None:
        if not hops:
            return None
        if binding.imported == EVERYTHING:
            return self._space(module, binding.module)
        space = self._space(module, binding.module)
        found = self._member(space, binding.imported, hops - 1) if space else None
        if found is None and language_of(module.path) in ("python", "rust"):  # from package import module
            joined = binding.module + ("" if binding.module.endswith(".") else ".") + binding.imported
            found = self._space(module, joined)
        if found is None and space in self.modules and language_of(module.path) not in PACKAGED:
            found = self._member(space, "default", hops - 1) if space else None  # `lazy(() => import(…))`
        return found

    def _member(self, space: str, name: str, hops: int) -> Symbol | str | None:
        """What others get under a name from a name space."""
        if space not in self.modules:
            found = self._spaces.get(space, {}).get(name)
            if found is not None or space.startswith(("jvm:", "csharp:", "php:", "go:")):
                return found
            return next(
                (
                    self._bound_to(self.modules[path], one, hops)
                    for path in self._by_key.get(space, ())
                    for one in self.modules[path].bindings
                    if one.exported and one.local == name
                ),
                None,
            )
        module = self.modules[space]
        renamed = module.exports.get(name)
        if renamed is not None and renamed != name:
            return self._local(module, renamed, hops)
        if language_of(space) == "python":
            found_here = self._local(module, name, hops)
            if found_here is None and space.endswith("__init__.py"):
                return self._name_spaces.path_of(f"{PurePosixPath(space).parent}/{name}")
            return found_here
        if name in self._spaces.get(space, {}):
            return self._spaces[space][name]
        through: Symbol | str | None = None
        for binding in module.bindings:
            if binding.exported and binding.local == name:
                return self._bound_to(module, binding, hops) if binding.module else None
        if renamed is not None:
            return self._local(module, renamed, hops)
        for binding in module.bindings:
            if binding.exported and binding.local == EVERYTHING and hops and name != "default":
                inner = self._space(module, binding.module)
                through = through or (self._member(inner, name, hops - 1) if inner else None)
        return through

    def _space(self, module: Module, written: str) -> str | None:
        return self._name_spaces.meant(module.path, module.key, written)

    def _edges(self, path: str, text: str) -> Iterator[Edge]:
        root, module = tree(path, text), self.modules[path]
        assert root is not None
        names = {one.local for one in module.bindings if one.local != EVERYTHING} | {
            symbol.name for symbol in module.symbols.values() if "." not in symbol.qualified
        }
        if module.key != path:
            names |= self._spaces.get(module.key, {}).keys()
        for binding in module.bindings:
            if binding.local == EVERYTHING and (space := self._space(module, binding.module)):
                names |= self._spaces.get(space, {}).keys()
        around = definitions(path, text)
        resolved: dict[tuple[str, tuple[str, ...]], tuple[Symbol | None, bool]] = {}
        for reference in references(path, root, names | SELVES, around):
            if reference.name in SELVES:
                target = self._own_member(module, reference.inside, reference.members)
                left = len(reference.members) > 1
            else:
                key = (reference.name, reference.members)
                if key not in resolved:
                    resolved[key] = self._resolved(path, *key)
                target, left = resolved[key]
            if target is not None:
                how = reference.how
                if left and how in ("call", "render"):
                    how = "value"  # `PATTERN.sub(…)`, `<Context.Provider>`
                yield Edge(path, reference.inside, reference.line, target, how)
                owner, dot, _ = target.qualified.rpartition(".")
                outer = self.symbol(target.path, owner) if dot and reference.name not in SELVES else None
                if outer is not None:  # `Suite.RECALL` uses the enum, too
                    yield Edge(path, reference.inside, reference.line, outer, "value")

    def _own_member(self, module: Module, inside: str, members: tuple[str, ...]) -> Symbol | None:
        """`self.total` inside a method of the class that has it."""
        owner = inside.rpartition(".")[0]
        if not owner or not members:
            return None
        found = module.symbols.get(f"{owner}.{members[0]}")
        return found if found is None or found.kind in ("method", "function") else None


def _symbol(path: str, item: Definition) -> Symbol:
    return Symbol(path, item.qualified, item.name, item.kind, item.first_line, item.last_line)
