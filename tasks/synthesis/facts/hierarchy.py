"""Facts of inheritance: what a class extends or implements, what extends it, the chain above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tasks.synthesis.facts.source import MIN_NAME, Source
from tasks.synthesis.facts.uses import MAX_LISTED, placed
from tasks.text.facts import Fact, Shape
from tasks.text.languages import CLASS, INTERFACE
from tasks.text.paths import is_test
from tasks.text.references import written
from tasks.text.structure import Definition
from tasks.text.syntax_tree import nodes_of, text_of

_OWNERS: Final = (
    "abstract_class_declaration",
    "class",
    "class_declaration",
    "class_definition",
    "impl_item",
    "interface_declaration",
    "struct_declaration",
    "trait_item",
)
_CLAUSES: Final = frozenset(
    {"class_heritage", "extends_type_clause", "superclass", "super_interfaces", "extends_interfaces", "base_list"}
    | {"base_clause", "class_interface_clause", "delegation_specifier", "trait_bounds", "argument_list"}
)
_COMMON: Final = frozenset(
    {"object", "Object", "ABC", "abc.ABC", "Protocol", "Generic", "typing.Protocol", "typing.Generic"}
    | {"Omit", "Pick", "Partial", "Required", "Readonly", "Record"}
)
"""Bases that say nothing by their names alone."""


def facts(source: Source) -> Iterator[Fact]:
    """Facts of the classes and interfaces that a file declares, in order of lines; none for tests."""
    if source.is_test:
        return
    bases = {(start, name): found for start, name, found in _bases(source)}
    for item in source.definitions:
        if item.kind not in (CLASS, INTERFACE) or len(item.name) < MIN_NAME:
            continue
        if source.graph.symbol(source.path, item.qualified) is None:
            continue
        span = (item.first_line, item.last_line)
        common = {"thing": source.noun(item)}
        scope = source.scope_of(item.qualified)
        above = next(
            (
                found
                for (line, name), found in bases.items()
                if name == item.name and item.first_line <= line <= item.last_line
            ),
            [],
        )
        if above:
            yield source.fact(
                "hierarchy",
                item.qualified,
                above,
                Shape.ALL,
                span,
                scope=scope,
                **common,
            )
        chain = _chain(source, item)
        if len(chain) > 1 and all(source.here(path) for _, path in chain):
            line = [name for name, _ in chain]
            yield source.fact(
                "ancestors",
                item.qualified,
                line,
                Shape.ORDERED,
                span,
                scope=scope,
                rests_on={path for _, path in chain},
                chain=", then ".join(f"`{name}`" for name in line),
                **common,
            )
        below = [
            edge for edge in source.graph.used(source.path, item.qualified) if edge.how == "extends" and edge.inside
        ]
        names = list(dict.fromkeys((edge.inside, edge.path) for edge in below if not is_test(edge.path)))
        if names and len(names) <= MAX_LISTED and all(source.here(path) for _, path in names):
            yield source.fact(
                "subclasses",
                item.qualified,
                [name for name, _ in names],
                Shape.ALL,
                span,
                scope=scope,
                rests_on={path for _, path in names},
                placed=placed(names),
                tests="yes" if any(is_test(edge.path) for edge in below) else "",
                **common,
            )


def _bases(source: Source) -> Iterator[tuple[int, str, list[str]]]:
    """(line, name, bases as written without their arguments) of classes."""
    for node in nodes_of(source.path, source.root, _OWNERS):
        named = node.child_by_field_name("name") or next(
            (child for child in node.named_children if child.type.endswith("identifier")), None
        )
        clauses = [child for child in node.named_children if child.type in _CLAUSES]
        if node.type == "impl_item":
            named, trait = node.child_by_field_name("type"), node.child_by_field_name("trait")
            clauses = [trait] if trait is not None else []
        found = [name for clause in clauses for name in _names(clause, node.type)]
        found = [name for name in dict.fromkeys(found) if name not in _COMMON]
        if named is not None and found and len(found) <= MAX_LISTED:
            yield node.start_point.row + 1, text_of(named), found


def _names(clause: Any, owner: str) -> Iterator[str]:
    if clause.type in (
        "class_heritage",
        "super_interfaces",
        "extends_interfaces",
        "type_list",
        "extends_clause",
        "implements_clause",
    ):
        inner = [child for child in clause.named_children if child.type not in ("type_arguments",)]
    elif owner == "impl_item":
        inner = [clause]
    elif clause.type == "argument_list":
        inner = [child for child in clause.named_children if child.type in ("identifier", "attribute", "subscript")]
    else:
        inner = clause.named_children
    for child in inner:
        if child.type in ("extends_clause", "implements_clause", "type_list"):
            yield from _names(child, owner)
            continue
        name = re.split(r"[<(\[]", written(child), maxsplit=1)[0].strip()
        if re.fullmatch(r"[\w.:\\$]{2,80}", name):
            yield name


def _chain(source: Source, item: Definition) -> list[tuple[str, str]]:
    """(name, path) of the repository's own classes above one, nearest first; empty where it branches."""
    found: list[tuple[str, str]] = []
    path, qualified = source.path, item.qualified
    while len(found) < 8:
        above = {
            (edge.target.qualified, edge.target.path)
            for edge in source.graph.uses.get(path, ())
            if edge.how == "extends" and edge.inside == qualified and edge.target.kind in (CLASS, INTERFACE)
        }
        if len(above) != 1 or (step := above.pop()) in found:
            return found if not above else []
        found.append(step)
        qualified, path = step
    return found
