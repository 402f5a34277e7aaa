"""Facts of HTTP routes: which handler answers, what it is given, what runs before it, who calls it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.synthesis.facts.declared_routes import Route
from tasks.synthesis.facts.graph import Symbol
from tasks.synthesis.facts.route_table import RouteTable, shape
from tasks.synthesis.facts.source import MIN_NAME, Source
from tasks.text.facts import Fact, Shape


def facts(source: Source, table: RouteTable) -> Iterator[Fact]:
    """Facts of the routes that a file declares, in order of lines."""
    routes = table.by_path.get(source.path, [])
    for route in routes:
        yield from _of(source, route, table)
    by_address: dict[str, list[Route]] = {}
    for route in routes:
        if route.mounted and route.method != "any":
            by_address.setdefault(route.address, []).append(route)
    for address, found in by_address.items():
        methods = list(dict.fromkeys(route.method for route in found))
        known = {route.method for route in table.by_shape.get(shape(address), []) if route.path != source.path}
        if len(methods) > 1 and not known:
            span = (found[0].first, max(route.last for route in found))
            yield source.fact("route-methods", address, methods, Shape.ALL, span)
    by_handler: dict[str, list[Route]] = {}
    for route in routes:
        if route.handler:
            by_handler.setdefault(route.handler, []).append(route)
    for handler, found in by_handler.items():
        symbol = symbol_of(source, handler)
        alone = symbol is None or all(
            edge.path in (source.path, symbol.path) for edge in source.graph.used(symbol.path, symbol.qualified)
        )
        if alone and len(handler) >= MIN_NAME and len(found) <= 12 and all(route.mounted for route in found):
            names = list(dict.fromkeys(route.name for route in found))
            span = (found[0].first, max(route.last for route in found))
            yield source.fact("handler-route", handler, names, Shape.ALL, span, scope=_handler_scope(source, handler))


def _of(source: Source, route: Route, table: RouteTable) -> Iterator[Fact]:
    span = (route.first, route.last)
    twins = [one for one in table.by_shape.get(shape(route.address), []) if one.name == route.name]
    alone = route.mounted and len(twins) == 1
    scope = "" if alone else source.path
    words = {"method": route.method, "address": route.address, "handler": route.handler, "route": route.name}
    rests_on = [symbol.path] if (symbol := symbol_of(source, route.handler)) and source.here(symbol.path) else []
    if alone:
        yield source.fact("route-file", route.name, [source.path], Shape.ONE, span, **words)
    if not route.handler:
        return
    yield source.fact("route", route.name, [route.handler], Shape.ONE, span, scope=scope, rests_on=rests_on, **words)
    if upstream := upstream_of(route):
        yield source.fact(
            "route-upstream", route.name, [upstream], Shape.ONE, span, scope=scope, upstream=upstream, **words
        )
    if route.before:
        yield source.fact("route-guard", route.name, route.before, Shape.ORDERED, span, scope=scope, **words)


def upstream_of(route: Route) -> str:
    """The address that a route's handler is given to ask; empty if it is given none."""
    pattern = r"/?[\w.:-]+(/[\w.:{}-]+)+(\?\S*)?|/[\w.:-]+"
    return next((text for text in route.given if re.fullmatch(pattern, text)), "")


def symbol_of(source: Source, handler: str) -> Symbol | None:
    """The definition that a handler's name means in a file; None if it is not the repository's."""
    head, *members = handler.replace("::", ".").split(".")
    return source.graph.resolve(source.path, head, tuple(members)) if head else None


def _handler_scope(source: Source, handler: str) -> str:
    symbol = symbol_of(source, handler)
    return "" if symbol is None or source.graph.is_unique(symbol.name) else source.path
