"""What a source file defines, by its syntax tree. Deterministic; a file with syntax errors gives what could
still be read, one without a tree nothing.

Lines are 1-based and inclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tasks.text.languages import (
    BINDINGS,
    COMMENTS,
    CONSTANT,
    CONTAINERS,
    DEFINITIONS,
    FUNCTION,
    FUNCTION_VALUES,
    METHOD,
    WRAPPERS,
)
from tasks.text.syntax_tree import text_of, tree


@dataclass(frozen=True)
class Definition:
    """A named function, method, class, interface, type, enum, constant or module."""

    name: str
    qualified: str
    """Name with the names around it, joined by dots: `Cart.total`."""
    kind: str
    first_line: int
    """First line of the definition with its decorators and `export`, without the comment above it."""
    last_line: int
    signature: str
    """Text up to the body, white space collapsed."""
    docstring: str
    """Docstring or the comment directly above, without its markers; empty if there is none."""
    outer_line: int
    """First line including the comment above it."""


def definitions(path: str, text: str) -> list[Definition]:
    """Definitions of a file in order of their first line, members after the class they are in."""
    return sorted(_defined(path, text), key=lambda item: (item.first_line, -item.last_line, item.qualified))


@lru_cache(maxsize=1024)
def _defined(path: str, text: str) -> tuple[Definition, ...]:
    """Remembered beyond a file, since dialogues and questions are made of the same ones in one process."""
    root = tree(path, text)
    return tuple(_definitions(root, "")) if root is not None else ()


def _definitions(parent: Any, scope: str) -> Iterator[Definition]:
    above: Any | None = None
    for child in parent.named_children:
        if child.type in COMMENTS:
            joins = above is not None and above[-1].end_point.row + 1 >= child.start_point.row
            above = [*above, child] if joins and above else [child]
            continue
        if child.type == "ERROR":
            yield from _definitions(child, scope)
        else:
            yield from _definition(child, scope, child, above)
        above = None


def _definition(node: Any, scope: str, outer: Any, above: list[Any] | None) -> Iterator[Definition]:
    kind = DEFINITIONS.get(node.type)
    if kind is None and node.type in WRAPPERS:
        for child in node.named_children:
            yield from _definition(child, scope, outer, above)
        return
    if node.type in BINDINGS:
        yield from _bindings(node, scope, outer, above)
        return
    name = _name(node) if kind else ""
    if not kind or not name:
        return
    if kind == FUNCTION and scope:
        kind = METHOD
    body = _body(node)
    yield _made(name, scope, kind, node, outer, above, body)
    if kind in CONTAINERS and body is not None:
        yield from _definitions(body, f"{scope}.{name}" if scope else name)


def _bindings(node: Any, scope: str, outer: Any, above: list[Any] | None) -> Iterator[Definition]:
    declarators = [
        child for child in node.named_children if child.type in ("variable_declarator", "const_spec", "var_spec")
    ]
    for binding in declarators or [node]:
        value = binding.child_by_field_name("value") or binding.child_by_field_name("right")
        name = _name(binding)
        if name:
            is_function = value is not None and value.type in FUNCTION_VALUES
            kind = (METHOD if scope else FUNCTION) if is_function else CONSTANT
            yield _made(name, scope, kind, binding, outer, above, _body(value) if is_function else value)


def _made(
    name: str, scope: str, kind: str, node: Any, outer: Any, above: list[Any] | None, body: Any | None
) -> Definition:
    first = outer.start_point.row + 1
    comment = above if above and above[-1].end_point.row + 2 >= first and above[0].start_point.row + 1 < first else None
    end = outer if node is outer or outer.type in WRAPPERS or outer.type in BINDINGS else node
    last = end.end_point.row + (1 if end.end_point.column else 0)
    source = outer.text[: body.start_byte - outer.start_byte] if body is not None else outer.text[:400]
    signature = " ".join(source.decode("utf-8", "replace").split())
    return Definition(
        name=name,
        qualified=f"{scope}.{name}" if scope else name,
        kind=kind,
        first_line=first,
        last_line=max(first, last),
        signature=signature.removesuffix("{").removesuffix("=").removesuffix(":").rstrip()[:400],
        docstring=_docstring(body) or _comment(comment),
        outer_line=comment[0].start_point.row + 1 if comment else first,
    )


def _name(node: Any) -> str:
    found = node.child_by_field_name("name") or node.child_by_field_name("pattern") or node.child_by_field_name("left")
    declarator = node.child_by_field_name("declarator")
    while found is None and declarator is not None:  # C nests the name in declarators
        if declarator.type.endswith("identifier"):
            found = declarator
        declarator = declarator.child_by_field_name("declarator")
    if found is None and node.type == "impl_item":
        found = node.child_by_field_name("type")
    if found is None:
        found = next((child for child in node.named_children if child.type.endswith("identifier")), None)
    if found is None and node.type == "property_declaration":
        found = next((child for child in node.named_children if child.type == "variable_declaration"), None)
    text = text_of(found) if found is not None else ""
    return text if re.fullmatch(r"[\w$#.:~<>, ]{1,120}", text) else ""


def _body(node: Any) -> Any | None:
    if node is None:
        return None
    body = node.child_by_field_name("body") or node.child_by_field_name("value")
    return body or next((child for child in node.named_children if child.type.endswith("_body")), None)


def _docstring(body: Any | None) -> str:
    """Python's docstring: a string that is the first statement of a block."""
    if body is None or body.type != "block" or not body.named_child_count:
        return ""
    first = body.named_children[0]
    if first.type == "expression_statement" and first.named_child_count:
        first = first.named_children[0]
    if first.type != "string":
        return ""
    return "\n".join(text_of(child) for child in first.named_children if child.type == "string_content").strip()


def _comment(nodes: list[Any] | None) -> str:
    lines = "\n".join(text_of(node) for node in nodes or []).splitlines()
    opened = (re.sub(r"^\s*(/\*\*?|\*/|///?|//!|\*|#+!?)\s?", "", line).rstrip() for line in lines)
    bare = [line.removesuffix("*/").rstrip() for line in opened]
    return "\n".join(bare).strip()
