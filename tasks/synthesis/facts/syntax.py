"""Calls, annotations and literals, alike in all languages that have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.text.syntax_tree import nodes_of, text_of

CALL_TYPES: Final = (
    "call",
    "call_expression",
    "function_call_expression",
    "invocation_expression",
    "member_call_expression",
    "method_invocation",
    "scoped_call_expression",
)
ANNOTATION_TYPES: Final = ("annotation", "marker_annotation", "attribute", "attribute_item", "decorator")

_STRINGS: Final = frozenset(
    {
        "string",
        "string_literal",
        "interpreted_string_literal",
        "raw_string_literal",
        "encapsed_string",
        "template_string",
    }
    | {"verbatim_string_literal", "line_string_literal"}
)
_PIECES: Final = frozenset(
    {"string_fragment", "string_content", "string_literal_content", "interpreted_string_literal_content"}
    | {"raw_string_literal_content", "escape_sequence", "string_start", "string_end", "text"}
)
_WRAPPERS: Final = frozenset({"argument", "value_argument", "attribute_argument", "expression_list"})
_NUMBERS: Final = frozenset(
    {"integer", "float", "number", "int_literal", "float_literal", "integer_literal", "real_literal", "long_literal"}
    | {"decimal_integer_literal", "hex_integer_literal", "decimal_floating_point_literal", "boolean_literal"}
    | {"true", "false", "boolean", "none", "nil", "null", "null_literal"}
)


@dataclass(frozen=True)
class CallSite:
    """`receiver.name(arguments…)`."""

    node: Any
    receiver: str
    """As written; empty for a bare call."""
    name: str
    arguments: tuple[Any, ...]
    """Nodes, unwrapped, without comments."""


def call_sites(path: str, root: Any) -> list[CallSite]:
    """Calls of a file in order of position."""
    return [site for node in nodes_of(path, root, CALL_TYPES) if (site := call_of(node)) is not None]


def call_of(node: Any) -> CallSite | None:
    """A call node taken apart; None if what is called has no name."""
    function = node.child_by_field_name("function")
    listed = node.child_by_field_name("arguments")
    if function is None:
        method = node.child_by_field_name("name") or node.child_by_field_name("method")
        if method is None:
            return _kotlin(node)
        receiver = next(
            (
                found
                for field in ("object", "receiver", "scope")
                if (found := node.child_by_field_name(field)) is not None
            ),
            None,
        )
        return CallSite(node, _short(receiver), text_of(method), arguments_of(listed))
    if function.type == "await_expression" and function.named_child_count:
        function = function.named_children[0]  # the grammar reads `await load<T>(…)` as a call of `await load`
    for field in ("property", "attribute", "field", "name"):
        member = function.child_by_field_name(field)
        if member is not None:
            owner = next(
                (
                    found
                    for name in ("object", "operand", "value", "path", "expression", "scope")
                    if (found := function.child_by_field_name(name)) is not None
                ),
                None,
            )
            return CallSite(node, _short(owner), text_of(member), arguments_of(listed))
    name = text_of(function) if function.end_byte - function.start_byte <= 120 else ""
    return CallSite(node, "", name, arguments_of(listed)) if re.fullmatch(r"[\w$?!]+", name) else None


def _kotlin(node: Any) -> CallSite | None:
    """`receiver.name(arguments)` where the callee has no field."""
    if not node.named_child_count:
        return None
    callee, suffix = node.named_children[0], node.named_children[-1]
    listed = next((child for child in suffix.named_children if child.type == "value_arguments"), None)
    if callee.type == "simple_identifier":
        return CallSite(node, "", text_of(callee), arguments_of(listed))
    if callee.type == "navigation_expression" and callee.named_child_count >= 2:
        name = text_of(callee.named_children[-1]).lstrip(".?")
        return CallSite(node, _short(callee.named_children[0]), name, arguments_of(listed))
    return None


def _short(node: Any) -> str:
    return text_of(node) if node is not None and node.end_byte - node.start_byte <= 300 else ""


def arguments_of(listed: Any) -> tuple[Any, ...]:
    """Nodes of an argument list, unwrapped, without comments."""
    found: list[Any] = []
    for child in listed.named_children if listed is not None else ():
        if child.type.endswith("comment"):
            continue
        while child.type in _WRAPPERS and child.named_child_count == 1:
            child = child.named_children[0]
        found.append(child)
    return tuple(found)


def string_of(node: Any) -> str | None:
    """The text of a string literal without its quotes; None for anything else and for one with parts to fill in."""
    if node is None or node.type not in _STRINGS or node.end_byte - node.start_byte > 2_000:
        return None
    if any(child.type not in _PIECES for child in node.named_children):
        return None
    inner = [child for child in node.named_children if child.type not in ("string_start", "string_end")]
    if inner:
        return "".join(text_of(child) for child in inner)
    written = text_of(node)
    return written[1:-1] if len(written) >= 2 and written[0] in "'\"`" and written[-1] == written[0] else ""


def literal_of(node: Any) -> str | None:
    """A literal as written, strings with their quotes: `'a'`, `3`, `-1`, `true`; None for anything else."""
    if node is None or node.end_byte - node.start_byte > 400:
        return None
    if node.type in _NUMBERS or string_of(node) is not None:
        return text_of(node)
    if node.type in ("unary_expression", "unary_operator", "prefix_unary_expression", "negative_literal"):
        written = text_of(node)
        return written if re.fullmatch(r"-\s?\d[\d_.]*", written) else None
    if node.type in ("as_expression", "satisfies_expression") and node.named_child_count:
        return literal_of(node.named_children[0])
    return None


@dataclass(frozen=True)
class Annotation:
    """`@Name(arguments…)`, `[Name(arguments…)]`, `#[name(arguments…)]`."""

    node: Any
    name: str
    """Last part: `get` of `@app.get("/x")`."""
    receiver: str
    arguments: tuple[Any, ...]
    owner: Any
    """The definition it belongs to."""


def annotations_of(path: str, root: Any) -> Iterator[Annotation]:
    """Annotations, attributes and decorators of a file, with what they belong to."""
    for node in nodes_of(path, root, ANNOTATION_TYPES):
        if (
            node.type == "attribute"
            and node.parent is not None
            and node.parent.type
            not in (
                "attribute_list",
                "attribute_group",
            )
        ):
            continue  # Python's `a.b`; Rust's lies in an attribute_item
        found = _annotation(node)
        if found is not None:
            yield found


def _annotation(node: Any) -> Annotation | None:
    if node.type == "decorator":
        inner = node.named_children[0] if node.named_child_count else None
        if inner is None:
            return None
        owner = node.parent if node.parent is not None and node.parent.type != "class_body" else node.next_named_sibling
        while owner is not None and owner.type == "decorator":
            owner = owner.next_named_sibling
        if inner.type in ("call", "call_expression"):
            site = call_of(inner)
            return Annotation(node, site.name, site.receiver, site.arguments, owner) if site else None
        receiver, _, name = text_of(inner).rpartition(".")
        return Annotation(node, name, receiver, (), owner)
    if node.type == "attribute_item":
        inner = node.named_children[0] if node.named_child_count else None
        if inner is None or not inner.named_child_count:
            return None
        owner = node.next_named_sibling
        while owner is not None and owner.type in ("attribute_item", "line_comment", "block_comment"):
            owner = owner.next_named_sibling
        name = text_of(inner.named_children[0]).rsplit("::", 1)[-1]
        return Annotation(node, name, "", arguments_of(inner.child_by_field_name("arguments")), owner)
    owner = node.parent
    while owner is not None and owner.type in ("modifiers", "attribute_list", "attribute_group", "annotation"):
        owner = owner.parent
    if owner is None:
        return None
    listed = node.child_by_field_name("arguments") or node.child_by_field_name("parameters")
    named = node.child_by_field_name("name") or next(iter(node.named_children), None)
    for child in node.named_children:
        if child.type == "attribute_argument_list":
            listed = child
        elif child.type == "constructor_invocation":  # Kotlin
            named = child.named_children[0]
            listed = next((one for one in child.named_children if one.type == "value_arguments"), None)
        elif child.type == "user_type":
            named = child
    return Annotation(node, text_of(named).rsplit(".", 1)[-1], "", arguments_of(listed), owner) if named else None


def strings_in(node: Any) -> list[str]:
    """Every plain string literal in a node, in order of position."""
    if node is None:
        return []
    if (found := string_of(node)) is not None:
        return [found]
    return [text for child in node.named_children for text in strings_in(child)]


def name_of(node: Any) -> str:
    """The name of a definition node; empty if it has none."""
    if node is None:
        return ""
    if node.type == "decorated_definition":
        node = node.child_by_field_name("definition")
    named = node.child_by_field_name("name")
    if named is None:
        named = next((child for child in node.named_children if child.type.endswith("identifier")), None)
    return text_of(named) if named is not None else ""
