"""Facts that explain one definition whole: what it is, what it is for, what it takes, builds on and is used by; and
how two definitions that look alike differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.synthesis.facts.definitions import is_style
from tasks.synthesis.facts.graph import Graph, Symbol
from tasks.synthesis.facts.purposes import purpose, sentence
from tasks.synthesis.facts.source import MIN_NAME, Source, in_words, noun, users
from tasks.synthesis.wordings.grammar import number, plural, with_article
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.paths import is_test
from tasks.text.signatures import parameters
from tasks.text.structure import Definition

MAX_NAMED: Final = 8
"""Names that one sentence of a profile can hold."""
MIN_SENTENCES: Final = 3
"""Of less there are facts of their own."""
MIN_SHARED: Final = 2
"""Features that two definitions share before they are compared."""
MIN_ALIKE: Final = 0.25
"""Share of common features among all of both."""

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_EXPLAINED: Final = frozenset({"function", "class", "component", "hook", "struct", "trait", "interface", "method"})


def facts(source: Source) -> Iterator[Fact]:
    """Profiles of a file's definitions and their differences from others, in order of lines; none for tests."""
    if source.is_test:
        return
    for item in source.definitions:
        symbol = source.graph.symbol(source.path, item.qualified)
        if symbol is None or "." in item.qualified or len(item.name) < MIN_NAME or is_style(source.path, item.name):
            continue
        if source.noun(item) not in _EXPLAINED:
            continue
        yield from _profile(source, item)
        yield from _difference(source, item, symbol)


def _profile(source: Source, item: Definition) -> Iterator[Fact]:
    thing, scope = source.noun(item), source.scope_of(item.qualified)
    told, named = purpose(source, item), [source.path]
    said: list[str] = [sentence(told)] if told else []
    if source.noun(item) not in ("component", "class"):
        names = parameters(item.signature, item.name, language_of(source.path) or "")
        if 1 < len(names) <= MAX_NAMED:
            said.append(f"It takes {in_words(names)}.")
    for how, verb in (("extends", "builds on"), ("render", "renders"), ("call", "calls")):
        edges = [edge for edge in source.graph.made_of(source.path, item.qualified) if edge.how == how]
        edges = [edge for edge in edges if edge.target.qualified.split(".")[0] != item.qualified]
        found = list(dict.fromkeys(edge.target.qualified for edge in edges))
        if 0 < len(found) <= MAX_NAMED and all(source.here(edge.target.path) for edge in edges):
            said.append(f"It {verb} {in_words(found)}.")
            named += [edge.target.path for edge in edges]
    methods = [name for name in members(source.graph, source.path, item.qualified) if not name.startswith("_")]
    if 1 < len(methods) <= MAX_NAMED:
        said.append(f"Its methods are {in_words(methods)}.")
    elif len(methods) > MAX_NAMED:
        said.append(f"It has {number(len(methods))} public methods, among them {in_words(methods[:5])}.")
    edges = source.graph.used(source.path, item.qualified)
    plain = [edge for edge in edges if not is_test(edge.path)]
    if plain and all(source.here(edge.path) for edge in plain):
        found = list(dict.fromkeys(name or path for path, name, _ in users(source, plain)))
        many = f"{in_words(found[:3])} and {number(len(found) - 3)} other places"
        said.append(f"It is used by {in_words(found) if len(found) <= MAX_NAMED else many}.")
        named += [edge.path for edge in plain]
    tests = list(dict.fromkeys(edge.path for edge in edges if is_test(edge.path) and "stor" not in edge.path))
    if 0 < len(tests) <= 3 and all(source.here(path) for path in tests):
        said.append(f"Its {'tests are' if len(tests) > 1 else 'test is'} in {in_words(tests)}.")
        named += tests
    elif len(tests) > 3:
        said.append(f"{number(len(tests)).capitalize()} test files use it.")
    if len(said) < MIN_SENTENCES:
        return
    lead = f"`{item.name}` is {with_article(thing)} in `{source.path}`."
    yield source.fact(
        "profile",
        item.name,
        [lead, *said],
        Shape.PROSE,
        (item.outer_line, item.last_line),
        scope=scope,
        rests_on=named,
        thing=thing,
        lines="\n".join(f"- {one}" for one in said),
    )


def _difference(source: Source, item: Definition, symbol: Symbol) -> Iterator[Fact]:
    """How a definition differs from the one that is most like it; told once for both."""
    likeness = source.graph.once(Likeness)
    other = likeness.most_alike(symbol)
    if other is None or not source.here(other.path) or (other.path, other.qualified) < (symbol.path, symbol.qualified):
        return
    mine, theirs = likeness.features(symbol), likeness.features(other)
    sentences: list[str] = []
    named = [other.path]
    for verb, both in (
        ("extend", "Both extend"),
        ("define", "Both define"),
        ("render", "Both render"),
        ("call", "Both call"),
    ):
        common = _of(mine & theirs, verb)
        if common:
            sentences.append(f"{both} {_some(common)}.")
    for one, own, others in ((symbol, mine - theirs, theirs), (other, theirs - mine, mine)):
        alike = {(feature.verb, feature.name) for feature in others}  # another definition of the same name
        own = frozenset(feature for feature in own if (feature.verb, feature.name) not in alike)
        parts = [
            f"{plural(verb)} {_some(_of(own, verb))}"
            for verb in ("extend", "define", "render", "call")
            if _of(own, verb)
        ]
        if parts:
            sentences.append(f"Only `{one.qualified}` {' and '.join(parts)}.")
    targets = [feature for feature in mine | theirs if feature.path]
    if not all(source.here(feature.path) for feature in targets):
        return
    where = f"`{symbol.qualified}` is in `{symbol.path}`, `{other.qualified}` in `{other.path}`."
    if symbol.path == other.path:
        where = f"Both are in `{symbol.path}`."
    yield source.fact(
        "difference",
        symbol.qualified,
        [*sentences, where],
        Shape.PROSE,
        (item.first_line, item.last_line),
        rests_on=[*named, *(feature.path for feature in targets)],
        other=other.qualified,
        thing=source.noun(item),
    )


@dataclass(frozen=True)
class _Feature:
    verb: str
    name: str
    path: str
    """Where it is defined; empty for a member of its own."""


def _of(features: frozenset[_Feature], verb: str) -> list[str]:
    return sorted({feature.name for feature in features if feature.verb == verb})


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMED
    return in_words(names) if rest <= 0 else f"{in_words(names[:MAX_NAMED])} and {number(rest)} more"


def members(graph: Graph, path: str, qualified: str) -> list[str]:
    """Names of the methods that a class defines, in order of lines."""
    own = f"{qualified}."
    found = [one for one in graph.modules[path].symbols.values() if one.qualified.startswith(own)]
    return [
        one.name
        for one in sorted(found, key=lambda one: one.first)
        if one.kind in ("method", "function") and one.qualified.count(".") == qualified.count(".") + 1
    ]


class Likeness:
    """Which definitions of a repository are alike: those of a kind and of one last word that share what they do."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._features: dict[Symbol, frozenset[_Feature]] = {}
        self._alike: dict[tuple[str, str], list[Symbol]] = {}
        for path, module in graph.modules.items():
            for symbol in module.symbols.values() if not is_test(path) else ():
                words, thing = _WORDS.findall(symbol.name), noun(path, symbol)
                telling = words and (len(words) > 1 or thing in ("class", "struct"))
                if "." not in symbol.qualified and telling and thing in _EXPLAINED and graph.is_unique(symbol.name):
                    self._alike.setdefault((thing, words[-1].lower()), []).append(symbol)

    def features(self, symbol: Symbol) -> frozenset[_Feature]:
        """What a definition extends, defines, renders and calls."""
        if symbol not in self._features:
            verbs = {"extends": "extend", "render": "render", "call": "call"}
            found = {
                _Feature(verbs[edge.how], edge.target.qualified, edge.target.path)
                for edge in self._graph.made_of(symbol.path, symbol.qualified)
                if edge.how in verbs and edge.target.qualified.split(".")[0] != symbol.qualified
            }
            own = {_Feature("define", name, "") for name in members(self._graph, symbol.path, symbol.qualified)}
            self._features[symbol] = frozenset(found | {one for one in own if not one.name.startswith("__")})
        return self._features[symbol]

    def most_alike(self, symbol: Symbol) -> Symbol | None:
        """The definition that shares most with one and yet differs; None if there is none."""
        words = _WORDS.findall(symbol.name)
        if not words or not self._graph.is_unique(symbol.name):
            return None
        mine = self.features(symbol)
        best: tuple[float, str, Symbol] | None = None
        for other in self._alike.get((noun(symbol.path, symbol), words[-1].lower()), ()):
            if other == symbol:
                continue
            theirs = self.features(other)
            shared, all_of_both = len(mine & theirs), len(mine | theirs)
            if shared < MIN_SHARED or mine == theirs or shared < MIN_ALIKE * all_of_both:
                continue
            found = (-shared / all_of_both, f"{other.path} {other.qualified}", other)
            best = found if best is None or found[:2] < best[:2] else best
        return best[2] if best else None
