"""Facts that walk through the code from one end to the other, joined from the edges of the graph: a request from its
route to the service behind it, a page from its address to the endpoints that it asks, a call down to what it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tasks.synthesis.facts.declared_routes import Route
from tasks.synthesis.facts.endpoints import Request
from tasks.synthesis.facts.graph import Symbol
from tasks.synthesis.facts.route_table import RouteTable
from tasks.synthesis.facts.routes import symbol_of, upstream_of
from tasks.synthesis.facts.screens import shown_pages
from tasks.synthesis.facts.source import MIN_NAME, Source, in_words
from tasks.text.facts import Fact, Shape
from tasks.text.paths import is_test

MAX_NAMED: Final = 8
MIN_STEPS: Final = 3
MAX_STEPS: Final = 8
MAX_BELOW: Final = 30
"""Definitions below a page that are searched for requests."""
MAX_DEPTH: Final = 4
"""Calls that are followed one after the other."""

Requests = dict[str, list[Request]]


def facts(source: Source, table: RouteTable, requests: Requests) -> Iterator[Fact]:
    """Walkthroughs that begin in a file, in order of lines; none for tests."""
    if source.is_test:
        return
    for route in table.by_path.get(source.path, []):
        if route.mounted and len(table.named(route.name)) == 1:
            yield from _through_route(source, route, requests)
    yield from _through_pages(source, table, requests)
    yield from _through_calls(source)


def _told(
    source: Source, kind: str, subject: str, steps: Sequence[str], span: tuple[int, int], paths: set[str], **words: str
) -> Iterator[Fact]:
    if MIN_STEPS <= len(steps) <= MAX_STEPS and all(source.here(path) for path in paths):
        ordered = "\n".join(f"{place}. {step}" for place, step in enumerate(steps, 1))
        yield source.fact(
            kind, subject, steps, Shape.PROSE, span, rests_on=paths, ordered=ordered, prose=" ".join(steps), **words
        )


def _through_route(source: Source, route: Route, requests: Requests) -> Iterator[Fact]:
    steps = [f"`{route.name}` is declared in `{source.path}`."]
    paths = {source.path}
    if route.before:
        steps.append(f"A request first passes {in_words(route.before)}.")
    symbol = symbol_of(source, route.handler)
    if symbol is not None and source.here(symbol.path):
        where = "" if symbol.path == source.path else f", which `{symbol.path}` defines"
        steps.append(f"It is handled by `{route.handler}`{where}.")
        paths.add(symbol.path)
    elif route.handler:
        steps.append(f"It is handled by `{route.handler}`.")
    if upstream := upstream_of(route):
        steps.append(f"`{route.handler}` is given `{upstream}`, the address that it asks upstream.")
    if symbol is not None and (called := _called(source, symbol)):
        steps.append(f"`{symbol.name}` calls {in_words([one.qualified for one in called])}.")
        paths |= {one.path for one in called}
    sent = [one for one in requests.get(route.name, []) if not is_test(one.path)]
    asking = list(dict.fromkeys((one.inside or one.path, one.path) for one in sent))
    if 0 < len(asking) <= MAX_NAMED and all(source.here(path) for _, path in asking):
        verb = "asks" if len(asking) == 1 else "ask"
        steps.append(f"On the other side, {in_words([name for name, _ in asking])} {verb} for it.")
        paths |= {path for _, path in asking}
    words = {"method": route.method, "address": route.address, "handler": route.handler}
    yield from _told(source, "route-walkthrough", route.name, steps, (route.first, route.last), paths, **words)


def _called(source: Source, symbol: Symbol) -> list[Symbol]:
    """What a definition calls of the repository, in order; empty where one is on the other side or it is much."""
    edges = [edge for edge in source.graph.made_of(symbol.path, symbol.qualified) if edge.how == "call"]
    found = list(dict.fromkeys(edge.target for edge in edges if edge.target.qualified != symbol.qualified))
    return found if len(found) <= MAX_NAMED and all(source.here(one.path) for one in found) else []


def _through_pages(source: Source, table: RouteTable, requests: Requests) -> Iterator[Fact]:
    asked = _asked_by(requests)
    for page in shown_pages(source):
        symbol = source.graph.resolve(source.path, page.component)
        if symbol is None or not source.here(symbol.path):
            continue
        steps = [
            f"The router in `{source.path}` shows `{page.component}` at `{page.address}`.",
            f"`{page.component}` is defined in `{symbol.path}`.",
        ]
        paths = {source.path, symbol.path}
        edges = [edge for edge in source.graph.made_of(symbol.path, symbol.qualified) if edge.how == "render"]
        inner = list(dict.fromkeys(edge.target for edge in edges if edge.target.qualified != symbol.qualified))
        inner = [one for one in inner if source.here(one.path)] if all(source.here(one.path) for one in inner) else []
        if 0 < len(inner) <= MAX_NAMED:
            steps.append(f"It renders {in_words([one.qualified for one in inner])}.")
            paths |= {one.path for one in inner}
        routes = dict.fromkeys(
            (name, below) for below in _below(source, symbol) for name in asked.get((below.path, below.qualified), ())
        )
        for name, below in list(routes)[:3]:
            (route, *_) = table.named(name)
            if not source.here(route.path):
                continue
            paths |= {route.path, below.path}
            upstream = upstream_of(route)
            steps.append(
                f"`{below.qualified}` asks for `{name}`, which `{route.path}` declares"
                + (
                    f" and passes on to `{upstream}`."
                    if upstream
                    else f" and `{route.handler}` handles."
                    if route.handler
                    else "."
                )
            )
        words = {"component": page.component}
        yield from _told(source, "page-walkthrough", page.address, steps, (page.first, page.last), paths, **words)


def _below(source: Source, symbol: Symbol) -> list[Symbol]:
    """A component and what it renders and calls, nearest first, on the source's side."""
    found = [symbol]
    for one in found:
        if len(found) > MAX_BELOW:
            break
        edges = source.graph.made_of(one.path, one.qualified)
        inner = (edge.target for edge in edges if edge.how in ("render", "call") and source.here(edge.target.path))
        found += [target for target in dict.fromkeys(inner) if target not in found]
    return found[:MAX_BELOW]


def _asked_by(requests: Requests) -> dict[tuple[str, str], list[str]]:
    """Names of routes by the definition that asks for them."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, sent in requests.items():
        for one in sent:
            if one.inside and name not in found.setdefault((one.path, one.inside.split(".")[0]), []):
                found[one.path, one.inside.split(".")[0]].append(name)
    return found


def _through_calls(source: Source) -> Iterator[Fact]:
    """From a function that other files use down to what it rests on."""
    for item in source.definitions:
        symbol = source.graph.symbol(source.path, item.qualified)
        if symbol is None or "." in item.qualified or len(item.name) < MIN_NAME or item.kind != "function":
            continue
        if source.noun(item) == "component" or not source.graph.is_unique(item.name):
            continue
        chain = list(_chain(source, symbol))
        if len(chain) < MIN_STEPS:
            continue
        steps = [_step(place, one, called) for place, (one, called) in enumerate(chain)]
        paths = {one.path for caller, called in chain for one in (caller, *called)}
        span = (item.first_line, item.last_line)
        yield from _told(source, "call-walkthrough", item.name, steps, span, paths, thing=source.noun(item))


def _step(place: int, caller: Symbol, called: Sequence[Symbol]) -> str:
    where = f" in `{caller.path}`" if place == 0 else ""
    parts = [
        f"{verb} {in_words(names)}"
        for verb, is_made in (("calls", False), ("creates", True))
        if (names := [one.qualified for one in called if (one.kind == "class") is is_made])
    ]
    there = {one.path for one in called}
    at = f" in `{next(iter(there))}`" if len(there) == 1 and there != {caller.path} else ""
    return f"`{caller.qualified}`{where} {' and '.join(parts)}{at}."


def _chain(source: Source, symbol: Symbol) -> Iterator[tuple[Symbol, list[Symbol]]]:
    """(caller, what it calls) level by level, each caller once; those that call nothing of it are left out."""
    level, seen = [symbol], {symbol}
    for _ in range(MAX_DEPTH):
        below: list[Symbol] = []
        for one in level:
            called = [target for target in _called(source, one) if not is_test(target.path)]
            if called and (one == symbol or any(target.kind != "class" for target in called)):
                yield one, called
            below += [target for target in called if target not in seen and target.kind in ("function", "method")]
            seen |= set(called)
        level = below
