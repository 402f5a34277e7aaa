"""Who calls an endpoint of the repository's own: requests in code whose address is one of its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.synthesis.facts.declared_routes import Route, joined
from tasks.synthesis.facts.route_table import RouteTable, shape
from tasks.synthesis.facts.source import Source
from tasks.synthesis.facts.syntax import CallSite, string_of
from tasks.synthesis.facts.uses import MAX_LISTED, placed
from tasks.text.facts import Fact, Shape
from tasks.text.paths import is_test
from tasks.text.references import written
from tasks.text.syntax_tree import nodes_of, text_of

_VERBS: Final = ("get", "post", "put", "patch", "delete", "head")


Constants = dict[tuple[str, str], str]


@dataclass(frozen=True)
class Request:
    """One request that the code sends."""

    path: str
    inside: str
    line: int
    method: str
    """Upper case; empty where the call does not say."""
    address: str
    """With `:` for what is filled in."""


def requests(sources: Iterable[Source], table: RouteTable) -> dict[str, list[Request]]:
    """Requests to routes of the repository by the route's name, those of tests included, in order of path and line."""
    found: dict[str, list[Request]] = {}
    if not table.by_shape:
        return found
    for source in sources:
        if source.root is None or source.language not in ("typescript", "javascript", "python"):
            continue
        if "fetch" not in source.document.text and not re.search(
            r"\b(axios|requests|httpx|http|client|api|ky)\b", source.document.text
        ):
            continue
        constants = _constants(source)
        for site in source.calls:
            request = _request(source, site, constants)
            route = _route(request, table) if request else None
            if request and route:
                found.setdefault(route.name, []).append(request)
    return {name: sorted(found[name], key=lambda one: (one.path, one.line)) for name in sorted(found)}


def facts(source: Source, table: RouteTable, known: dict[str, list[Request]]) -> Iterator[Fact]:
    """Callers of the routes that a file declares, and routes that its functions call."""
    for route in table.by_path.get(source.path, []):
        found = known.get(route.name, [])
        plain = [one for one in found if not is_test(one.path)]
        names = list(dict.fromkeys((one.inside or one.path, one.path) for one in plain))
        if 0 < len(names) <= MAX_LISTED and all(source.here(path) for _, path in names):
            yield source.fact(
                "endpoint-caller",
                route.name,
                [name for name, _ in names],
                Shape.ALL,
                (route.first, route.last),
                rests_on=[path for _, path in names],
                placed=placed(names),
                method=route.method,
                address=route.address,
                handler=route.handler,
                tests="yes" if len(plain) < len(found) else "",
            )
    if source.is_test:
        return
    own: dict[str, list[tuple[str, int]]] = {}
    for name, found in known.items():
        for one in found:
            if one.path == source.path and one.inside:
                own.setdefault(one.inside, []).append((name, one.line))
    for inside, called in own.items():
        item = source.graph.symbol(source.path, inside)
        asked = list(dict.fromkeys(name for name, _ in called))
        routes = {route.path for declared in table.by_path.values() for route in declared if route.name in asked}
        if item is not None and all(source.here(path) for path in routes):
            yield source.fact(
                "endpoint-use",
                inside,
                asked,
                Shape.ALL,
                (min(line for _, line in called), max(line for _, line in called)),
                scope=source.scope_of(item.qualified),
                rests_on=routes,
                thing=source.noun(item),
            )


def _request(source: Source, site: CallSite, constants: Constants) -> Request | None:
    verb = site.name.lower() if site.name.lower() in _VERBS else ""
    if not site.arguments or not (verb or "fetch" in site.name.lower() or site.name == "request"):
        return None
    if verb and not re.search(
        r"(?i)\b(axios|requests|httpx|http|client|api|ky|session|\$http|request)$", site.receiver
    ):
        return None
    item = source.inside(site.node.start_point.row + 1)
    inside = item.qualified if item else ""
    address = _address(site.arguments[0], constants, inside)
    if not address or not re.match(r"(https?://[^/]+)?/", address):
        return None
    method = verb.upper()
    for one in site.arguments[1:]:
        options = written(one)
        if said := re.search(r"\bmethod\s*[:=]\s*['\"](\w+)['\"]", options):
            method = said[1].upper()
        elif "method" in options or one.type in ("call_expression", "identifier"):
            method = method or "?"
    if not method:
        method = "GET" if "fetch" in site.name.lower() else ""
    path = re.sub(r"^https?://[^/]+", "", address)
    return Request(source.path, inside, site.node.start_point.row + 1, method, path)


def _address(node: Any, constants: Constants, inside: str) -> str:
    if (text := string_of(node)) is not None:
        return text
    if node.type == "template_string":
        return re.sub(r"\$\{[^{}]{0,200}\}", ":", text_of(node)[1:-1])
    if node.type == "binary_expression":
        left, right = (node.child_by_field_name(side) for side in ("left", "right"))
        head = _address(left, constants, inside)
        return head + (_address(right, constants, inside) or ":") if head else ""
    if node.type == "string":  # an f-string
        return re.sub(r"\{[^{}]{0,200}\}", ":", text_of(node).lstrip("frFR").strip("'\""))
    if node.type != "identifier":
        return ""
    name = text_of(node)
    return constants.get((inside, name)) or constants.get(("", name), "")


def _constants(source: Source) -> Constants:
    """Addresses by the definition around them (empty: the file) and the name that they have there, where one name has
    one address.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for node in nodes_of(source.path, source.root, ("variable_declarator", "assignment")):
        name = node.child_by_field_name("name") or node.child_by_field_name("left")
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        if name is not None and value is not None and name.type == "identifier":
            item = source.inside(node.start_point.row + 1)
            around = item.qualified if item else ""
            if item and item.name == text_of(name):
                around = around.rpartition(".")[0]
            found.setdefault((around, text_of(name)), set()).add(_address(value, {}, ""))
    return {key: next(iter(values)) for key, values in found.items() if len(values) == 1}


def _route(request: Request, table: RouteTable) -> Route | None:
    """The one route that a request goes to; None where the method or the address leaves several."""
    wanted = shape(request.address)
    routes = table.by_shape.get(wanted) or table.by_shape.get(joined("", wanted.removesuffix("/:")), [])
    optional = [route for route in routes if shape(route.address) == wanted or route.address.endswith("?")]
    if request.method and request.method != "?":
        optional = [route for route in optional if route.method in (request.method, "any")]
    return optional[0] if len(optional) == 1 else None
