"""Facts of values: constants and switches, the entries of literal tables, defaults of parameters."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any, Final

from tasks.synthesis.facts.source import MIN_NAME, Source, in_words
from tasks.synthesis.facts.syntax import literal_of, string_of
from tasks.synthesis.facts.uses import MAX_LISTED, placed
from tasks.synthesis.wordings.grammar import number as spelled
from tasks.text.facts import Fact, Shape
from tasks.text.paths import is_test
from tasks.text.references import written
from tasks.text.structure import Definition
from tasks.text.syntax_tree import nodes_of, text_of

MAX_ENTRIES: Final = 40
MAX_DEFAULT: Final = 60
MAX_ELEMENTS: Final = 20
MIN_SHARED: Final = 4
"""So many functions of a file with one default for a parameter are told together."""

_BINDINGS: Final = (
    "variable_declarator",
    "assignment",
    "const_spec",
    "var_spec",
    "const_item",
    "static_item",
    "const_element",
    "property_declaration",
)
_TABLES: Final = frozenset({"object", "dictionary", "hash", "array_creation_expression"})
_LISTS: Final = frozenset({"array", "list", "tuple", "set"})
_PAIRS: Final = frozenset({"pair", "array_element_initializer"})
_FUNCTIONS: Final = frozenset(
    {"function_definition", "function_declaration", "method_definition", "method_declaration", "arrow_function"}
    | {"function_expression", "lambda", "method", "singleton_method", "function_item", "generator_function_declaration"}
    | {"constructor_declaration", "local_function_statement", "class_declaration", "record_declaration", "func_literal"}
)
_DEFAULTS: Final = {
    "default_parameter": ("name", "value"),
    "typed_default_parameter": ("name", "value"),
    "required_parameter": ("pattern", "value"),
    "optional_parameter": ("pattern", "value"),
    "assignment_pattern": ("left", "right"),
    "object_assignment_pattern": ("left", "right"),
    "simple_parameter": ("name", "default_value"),
    "property_promotion_parameter": ("name", "default_value"),
    "keyword_parameter": ("name", "value"),
}
_STYLE_KEYS: Final = """
alignItems background backgroundColor border borderBottom borderRadius borderTop bottom color cursor display
fill flexDirection flexGrow fontFamily fontSize fontWeight gridAutoColumns gridTemplateColumns height
justifyContent left lineHeight listStyle margin marginBottom marginLeft marginRight marginTop maxWidth
minHeight minWidth outline overflow padding paddingBottom paddingLeft paddingRight paddingTop position right
textAlign textDecoration top transform verticalAlign width zIndex
"""
_STYLES: Final = frozenset(_STYLE_KEYS.split())
"""Keys of style objects, which nobody asks about."""

_SENTINEL: Final = re.compile(r"(?i)(?:default|unset|missing|not_?given|sentinel|empty)\w{0,40}$")
"""Defaults that only say that there is none: `USE_CLIENT_DEFAULT`."""

_EMPTY: Final = frozenset({"undefined", "{}", "[]", "()", "None", "null", "nil", "''", '""'})


def facts(source: Source) -> Iterator[Fact]:
    """Facts of a file's values, in order of lines; none for tests."""
    if source.is_test:
        return
    yield from _constants(source)
    yield from _defaults(source)


def _constants(source: Source) -> Iterator[Fact]:
    for node in nodes_of(source.path, source.root, _BINDINGS):
        if (item := _defined(source, node)) is None:
            continue
        value = _value(node)
        literal = literal_of(value)
        span = (item.first_line, item.last_line)
        scope = source.scope_of(item.qualified)
        if literal is not None:
            if literal not in _EMPTY and "\n" not in literal:
                yield source.fact(
                    "value",
                    item.qualified,
                    [_bare(literal)],
                    Shape.ONE,
                    span,
                    scope=scope,
                    written=_bare(literal) if "`" in literal else literal,
                    **_readers(source, item),
                )
            continue
        while value is not None and value.type in ("as_expression", "satisfies_expression", "call_expression"):
            value = value.named_children[0] if value.type != "call_expression" else None
        if value is not None and value.type in _TABLES:
            yield from _table(source, item, value, span, scope)
        elif value is not None and value.type in _LISTS:
            elements = [literal_of(one) for one in value.named_children if not one.type.endswith("comment")]
            found = [_bare(one) for one in elements if one is not None]
            if 1 < len(found) == len(elements) <= MAX_ELEMENTS and len(set(found)) == len(found):
                yield source.fact(
                    "list-value",
                    item.qualified,
                    found,
                    Shape.ORDERED,
                    span,
                    scope=scope,
                )


def _table(source: Source, item: Definition, value: Any, span: tuple[int, int], scope: str) -> Iterator[Fact]:
    entries: list[tuple[str, str | None, int]] = []
    for pair in value.named_children:
        if pair.type not in _PAIRS:
            if not pair.type.endswith("comment"):
                entries.append(("", None, 0))  # a spread or a method: the table is more than its pairs
            continue
        key = pair.child_by_field_name("key") or (pair.named_children[0] if pair.named_child_count > 1 else None)
        inner = pair.child_by_field_name("value") or (pair.named_children[-1] if pair.named_child_count > 1 else None)
        name = (string_of(key) or text_of(key)).strip("'\"`") if key is not None else ""
        if key is not None and key.type != "computed_property_name" and re.fullmatch(r"[\w .:/@-]{1,60}", name):
            entries.append((name, literal_of(inner), pair.start_point.row + 1))
    names = [name for name, _, _ in entries if name]
    if not 0 < len(names) == len(entries) <= MAX_ENTRIES or len(set(names)) != len(names):
        return
    if re.search(r"(?i)(css|styles?|styling)$", item.name) or 2 * sum(name in _STYLES for name in names) >= len(names):
        return
    if len(names) > 1:
        yield source.fact(
            "table-keys",
            item.qualified,
            names,
            Shape.ALL,
            span,
            scope=scope,
        )
    for name, literal, line in entries:
        if literal is not None and literal not in _EMPTY and len(name) > 1:
            yield source.fact(
                "table-entry",
                item.qualified,
                [_bare(literal)],
                Shape.ONE,
                (line, line),
                scope=scope,
                key=name,
                written=_bare(literal) if "`" in literal else literal,
            )


def _defined(source: Source, node: Any) -> Definition | None:
    """The definition that a binding makes, if it is one of the file's own and not a local variable."""
    around = node.parent
    while around is not None and around.type not in _FUNCTIONS - {"class_declaration", "record_declaration"}:
        around = around.parent
    if around is not None:
        return None
    named = node.child_by_field_name("name") or node.child_by_field_name("left")
    if named is None:
        named = next((child for child in node.named_children if child.type.endswith(("_declaration", "name"))), None)
    name = text_of(named) if named is not None else ""
    item = source.inside(node.start_point.row + 1)
    if item is None or item.name != name or len(name) < MIN_NAME or item.kind != "constant" or name.startswith("__"):
        return None
    return item if source.graph.symbol(source.path, item.qualified) is not None else None


def _value(node: Any) -> Any | None:
    found = node.child_by_field_name("value") or node.child_by_field_name("right")
    if found is None and node.type in ("const_element", "variable_declarator", "property_declaration"):
        found = node.named_children[-1] if node.named_child_count > 1 else None
    if found is not None and found.type == "expression_list" and found.named_child_count == 1:
        return found.named_children[0]
    return found


def _readers(source: Source, item: Definition) -> dict[str, str]:
    """Who reads a constant, if that can be told whole."""
    edges = [edge for edge in source.graph.used(source.path, item.qualified) if not is_test(edge.path)]
    names = list(dict.fromkeys((edge.inside or edge.path, edge.path) for edge in edges))
    if (
        "." in item.qualified
        or not 0 < len(names) <= MAX_LISTED // 2
        or not all(source.here(path) for _, path in names)
    ):
        return {}
    return {"readers": in_words([name for name, _ in names]), "readers_many": str(len(names)), "placed": placed(names)}


def _bare(literal: str) -> str:
    return literal[1:-1] if len(literal) > 1 and literal[0] in "'\"`" and literal[-1] == literal[0] else literal


def _defaults(source: Source) -> Iterator[Fact]:
    known = set(source.graph.modules[source.path].symbols)
    seen: dict[tuple[str, str], int] = {}
    found: list[tuple[Definition, str, str, tuple[int, int]]] = []
    for node in nodes_of(source.path, source.root, (*_DEFAULTS, "parameter", "formal_parameter")):
        name, value = _default(node)
        item = source.inside(node.start_point.row + 1)
        if item is None or value is None or item.kind not in ("function", "method") or item.qualified not in known:
            continue
        if not re.fullmatch(r"\$?\w{2,60}", name) or not _is_parameter_of(node, item):
            continue
        text = written(value)
        name = name.lstrip("$")
        seen[item.qualified, name] = seen.get((item.qualified, name), 0) + 1
        if (
            len(text) <= MAX_DEFAULT
            and not _SENTINEL.search(text)
            and text not in _EMPTY
            and value.type not in ("arrow_function", "lambda")
        ):
            found.append((item, name, text, (node.start_point.row + 1, node.end_point.row + 1)))
    shared = yield from _shared_defaults(source, [one for one in found if seen[one[0].qualified, one[1]] == 1])
    for item, name, text, span in found:
        if seen[item.qualified, name] == 1 and len(item.name) > 1 and name not in shared:
            yield source.fact(
                "default",
                item.qualified,
                [_bare(text)],
                Shape.ONE,
                span,
                scope=source.scope_of(item.qualified),
                parameter=name,
                written=text,
                thing=source.noun(item),
            )


def _shared_defaults(
    source: Source, found: list[tuple[Definition, str, str, tuple[int, int]]]
) -> Generator[Fact, None, set[str]]:
    """Defaults that many functions of a file give one parameter alike, told once; returns those parameters."""
    by_name: dict[str, list[tuple[Definition, str, tuple[int, int]]]] = {}
    for item, name, text, span in found:
        by_name.setdefault(name, []).append((item, text, span))
    shared: set[str] = set()
    for name, givers in by_name.items():
        names = [item.qualified for item, _, _ in givers]
        if len(givers) >= MIN_SHARED and len({text for _, text, _ in givers}) == 1:
            shared.add(name)
            shown = names if len(names) <= MAX_LISTED else [*names[: MAX_LISTED // 2]]
            yield source.fact(
                "shared-default",
                name,
                [_bare(givers[0][1])],
                Shape.ONE,
                (givers[0][2][0], givers[-1][2][1]),
                scope=source.path,
                written=givers[0][1],
                number=spelled(len(names)),
                givers=in_words(shown) if len(shown) == len(names) else "",
                examples="" if len(shown) == len(names) else in_words(shown[:3]),
            )
    return shared


def _default(node: Any) -> tuple[str, Any | None]:
    fields = _DEFAULTS.get(node.type)
    if fields is not None:
        name, value = (node.child_by_field_name(field) for field in fields)
        return (text_of(name) if name is not None else "", value)
    named = node.child_by_field_name("name")  # C#: the value is the last child without a field; Kotlin: beside it
    if named is None or node.named_child_count < 2:
        return "", None
    last = node.named_children[-1]
    return (text_of(named), last) if last != named and "=" in [child.type for child in node.children] else ("", None)


def _is_parameter_of(node: Any, item: Definition) -> bool:
    """Whether a default belongs to a parameter of the definition itself, not of a function in it."""
    functions = 0
    around = node.parent
    while around is not None:
        if around.type in ("variable_declarator", "for_statement", "assignment_expression") and functions == 0:
            return False
        if around.type in _FUNCTIONS and around.type not in ("class_declaration",):
            functions += 1
        around = around.parent
    return functions == 1
