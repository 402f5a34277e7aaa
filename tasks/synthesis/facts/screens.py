"""Facts of a user interface: which component a page's address shows, which components a component renders, and where
one is rendered. React Router's elements, and route objects of React Router, Vue and Angular.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from tasks.synthesis.facts.declared_routes import joined
from tasks.synthesis.facts.source import MIN_NAME, Source
from tasks.synthesis.facts.syntax import string_of
from tasks.synthesis.facts.uses import MAX_LISTED, told_users
from tasks.text.facts import Fact, Shape
from tasks.text.syntax_tree import nodes_of, text_of

_ROUTES: Final = re.compile(r"<\w*Route\b|\b(?:component|element|Component|loadComponent)\s*:")


@dataclass(frozen=True)
class Page:
    """A component with the address at which a router shows it."""

    address: str
    component: str
    first: int
    last: int


def facts(source: Source) -> Iterator[Fact]:
    """Pages and renderings of a file, in order of lines."""
    if source.language not in ("typescript", "javascript") or source.is_test:
        return
    pages = shown_pages(source)
    addresses = [page.address for page in pages]
    for page in pages:
        symbol = source.graph.resolve(source.path, page.component)
        rests_on = [symbol.path] if symbol and source.here(symbol.path) else []
        span = (page.first, page.last)
        words = {"address": page.address, "component": page.component}
        if addresses.count(page.address) == 1:
            yield source.fact("ui-route", page.address, [page.component], Shape.ONE, span, rests_on=rests_on, **words)
        own = [one.address for one in pages if one.component == page.component]
        if (
            own[0] == page.address
            and len(page.component) >= MIN_NAME
            and symbol
            and source.graph.is_unique(symbol.name)
        ):
            yield source.fact(
                "page-address",
                page.component,
                list(dict.fromkeys(own)),
                Shape.ALL,
                span
                if len(own) == 1
                else (page.first, max(one.last for one in pages if one.component == page.component)),
                rests_on=rests_on,
                **words,
            )
    yield from _renderings(source)


def _renderings(source: Source) -> Iterator[Fact]:
    for item in source.definitions:
        if (
            source.noun(item) != "component"
            or len(item.name) < MIN_NAME
            or source.graph.symbol(source.path, item.qualified) is None
        ):
            continue
        span = (item.first_line, item.last_line)
        scope = source.scope_of(item.qualified)
        edges = [edge for edge in source.graph.made_of(source.path, item.qualified) if edge.how == "render"]
        inner = list(dict.fromkeys(edge.target.name for edge in edges if edge.target.qualified != item.qualified))
        if 0 < len(inner) <= MAX_LISTED and all(source.here(edge.target.path) for edge in edges):
            yield source.fact(
                "renders",
                item.qualified,
                inner,
                Shape.ALL,
                span,
                scope=scope,
                rests_on={edge.target.path for edge in edges},
            )
        outer = [edge for edge in source.graph.used(source.path, item.qualified) if edge.how == "render"]
        yield from told_users(source, item, outer, "rendered-by", span)


def shown_pages(source: Source) -> list[Page]:
    """Pages that a file's router shows, in order of lines."""
    if source.language not in ("typescript", "javascript") or not _ROUTES.search(source.document.text):
        return []
    found: list[Page] = []
    types = ("jsx_opening_element", "jsx_self_closing_element", "object")
    for node in nodes_of(source.path, source.root, types):
        if node.type == "object":
            found += _from_object(node)
            continue
        if not text_of(node.child_by_field_name("name") or node).endswith("Route"):
            continue
        address, component = _address(node), _component(_attribute(node, "element") or _attribute(node, "component"))
        if address and component:
            found.append(Page(address, component, node.start_point.row + 1, node.end_point.row + 1))
    return found


def _from_object(node: Any) -> list[Page]:
    pairs = {
        text_of(pair.child_by_field_name("key")).strip("'\""): pair.child_by_field_name("value")
        for pair in node.named_children
        if pair.type == "pair"
    }
    shown = pairs.get("element") or pairs.get("component") or pairs.get("Component") or pairs.get("loadComponent")
    path = _filled(pairs.get("path"))
    if shown is None or path is None or "children" in _enclosing_keys(node):
        return []
    component = text_of(shown) if shown.type == "identifier" else _component(shown) or _lazy(text_of(shown))
    if not re.fullmatch(r"[A-Z]\w*", component or ""):
        return []
    return [Page(joined("", path), component, node.start_point.row + 1, node.end_point.row + 1)]


def _lazy(written: str) -> str:
    """The component that is loaded when it is needed: `() => import('./Home.vue')`, `… .then(m => m.HomePage)`."""
    found = re.search(
        r"import\(\s*['\"]([^'\"\n]{1,200})['\"]\s*\)(?:\s*\.then\(\s*\(?\w+\)?\s*=>\s*\w+\.(\w+))?", written
    )
    return (found[2] or PurePosixPath(found[1]).stem) if found else ""


def _enclosing_keys(node: Any) -> list[str]:
    keys: list[str] = []
    while (node := node.parent) is not None:
        if node.type == "pair":
            keys.append(text_of(node.child_by_field_name("key")).strip("'\""))
    return keys


def _address(node: Any) -> str | None:
    """The whole address of a route element, those around it included."""
    parts: list[str] = []
    element = node
    while element is not None:
        opening = element
        if element.type == "jsx_element":
            opening = element.child_by_field_name("open_tag") or element.named_children[0]
        if opening.type.startswith("jsx_") and text_of(opening.child_by_field_name("name") or opening).endswith(
            "Route"
        ):
            written = _attribute(opening, "path")
            if written is not None:
                part = _filled(written)
                if part is None:
                    return None
                parts.insert(0, part)
                if part.startswith("/"):
                    break
            elif not any(text_of(child) == "index" for child in opening.named_children):
                return None
        element = element.parent
        if element is not None and element.type == "jsx_element" and element.named_children[0] == node:
            element = element.parent
    whole = ""
    for part in parts:
        whole = joined(whole, part)
    return whole or None


def _attribute(node: Any, name: str) -> Any | None:
    for child in node.named_children:
        if child.type == "jsx_attribute" and child.named_child_count > 1 and text_of(child.named_children[0]) == name:
            value = child.named_children[1]
            return value.named_children[0] if value.type == "jsx_expression" and value.named_child_count else value
    return None


def _filled(node: Any | None) -> str | None:
    """A path as text, with `{name}` for what is filled in; None for one without any literal part."""
    if node is None:
        return None
    if (text := string_of(node)) is not None:
        return text
    if node.type == "template_string":
        whole = re.sub(r"\$\{\s*(?:\w+\.)*(\w+)\s*\}", r"{\1}", text_of(node)[1:-1])
        return whole if "$" not in whole and "/" in whole else None
    if node.type == "binary_expression":
        left, right = (_filled_part(node.child_by_field_name(side)) for side in ("left", "right"))
        return left + right if left and right and "/" in left + right else None
    return None


def _filled_part(node: Any | None) -> str | None:
    if node is not None and node.type in ("identifier", "member_expression"):
        words = re.fullmatch(r"(?:\w+\.)*(\w+)", text_of(node))
        return f"{{{words[1]}}}" if words else None
    return _filled(node)


def _component(node: Any | None) -> str:
    """The component that an attribute shows: `<Billing />`, `Billing`."""
    if node is None:
        return ""
    if node.type == "identifier":
        return text_of(node)
    if node.type == "jsx_self_closing_element":
        name = text_of(node.child_by_field_name("name") or node)
        return name if re.fullmatch(r"[A-Z]\w*", name) and name != "Navigate" else ""
    return ""
