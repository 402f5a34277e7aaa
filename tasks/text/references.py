"""Where a file speaks of some names: each place that refers to one, unless a parameter, a local variable or a nested
function of that name stands in between. By syntax tree; strings and comments are no places.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tasks.text.languages import language_of
from tasks.text.structure import Definition
from tasks.text.syntax_tree import text_of

How = Literal["call", "render", "extends", "type", "value"]

SELVES: Final = frozenset({"cls", "self", "this"})
"""What a method calls the object that it belongs to."""

_WORD: Final = re.compile(rb"[A-Za-z_$][\w$]*")
_NEXT: Final = re.compile(rb"\s{0,80}(?:\?\.|\.|->|::)\s{0,80}([A-Za-z_$][\w$]*)")
_NAMES: Final = frozenset(
    {"identifier", "type_identifier", "simple_identifier", "name", "constant", "package_identifier", "jsx_identifier"}
    | {"shorthand_property_identifier", "shorthand_property_identifier_pattern", "namespace_identifier"}
)
_MEMBERS: Final = {
    "attribute": ("attribute",),
    "call": ("method",),
    "field_access": ("field",),
    "keyword_argument": ("name",),
    "member_access_expression": ("name",),
    "member_call_expression": ("name",),
    "class_constant_access_expression": (),
    "method_invocation": ("name",),
    "named_argument": ("name",),
    "nested_identifier": ("property",),
    "nullsafe_member_call_expression": ("name",),
    "scoped_call_expression": ("name",),
    "scoped_identifier": ("name",),
    "scoped_type_identifier": ("name",),
    "scope_resolution": ("name",),
    "qualified_name": ("name",),
}
"""Node → fields that name a member of something else; a bare call of the same shape has no object, see `_is_member`."""

_OBJECTS: Final = ("object", "receiver", "scope", "path", "qualifier", "expression", "operand", "prefix")
_SKIPPED: Final = frozenset(
    {"import_specifier", "import_clause", "namespace_import", "export_specifier", "namespace_export"}
    | {"dotted_name", "aliased_import", "import_spec", "package_clause", "import_header", "navigation_suffix"}
    | {"use_declaration", "use_list", "scoped_use_list", "use_as_clause", "using_directive", "namespace_use_clause"}
    | {"package_header", "package_declaration", "import_declaration", "named_imports", "variable_name"}
    | {"field_initializer", "keyed_element", "labeled_statement", "jsx_closing_element", "namespace_name"}
)
"""Parents under which a name refers to nothing that counts as a use."""

_BINDERS: Final[dict[str, tuple[str, ...]]] = {
    "arrow_function": ("parameter",),
    "assignment": ("left",),
    "assignment_expression": (),
    "augmented_assignment": ("left",),
    "catch_clause": ("parameter",),
    "catch_declaration": ("name",),
    "class": ("name",),
    "class_declaration": ("name",),
    "class_definition": ("name",),
    "closure_parameters": ("*",),
    "const_item": ("name",),
    "const_spec": ("name",),
    "default_parameter": ("name",),
    "enhanced_for_statement": ("name",),
    "enum_declaration": ("name",),
    "enum_item": ("name",),
    "for_expression": ("pattern",),
    "for_in_clause": ("left",),
    "for_in_statement": ("left",),
    "for_statement": ("left",),
    "formal_parameter": ("name",),
    "formal_parameters": ("*",),
    "function_declaration": ("name",),
    "function_definition": ("name",),
    "function_expression": ("name",),
    "function_item": ("name",),
    "generator_function_declaration": ("name",),
    "interface_declaration": ("name",),
    "keyword_parameter": ("name",),
    "lambda_parameters": ("*",),
    "let_declaration": ("pattern",),
    "let_condition": ("pattern",),
    "method_parameters": ("*",),
    "block_parameters": ("*",),
    "named_expression": ("name",),
    "optional_parameter": ("pattern", "name"),
    "parameter": ("name", "pattern"),
    "parameter_declaration": ("name",),
    "parameters": ("*",),
    "range_clause": ("left",),
    "required_parameter": ("pattern",),
    "short_var_declaration": ("left",),
    "struct_item": ("name",),
    "trait_item": ("name",),
    "type_alias_declaration": ("name",),
    "type_parameter": ("name",),
    "type_spec": ("name",),
    "typed_default_parameter": ("name",),
    "typed_parameter": ("*first",),
    "var_spec": ("name",),
    "variable_declaration": ("*first",),
    "variable_declarator": ("name",),
    "as_pattern_target": ("*",),
    "method_declaration": ("name",),
    "method": ("name",),
    "static_item": ("name",),
    "record_declaration": ("name",),
    "struct_declaration": ("name",),
    "mod_item": ("name",),
}
"""Node → fields that bind a name; `*` every child, `*first` the first one."""

_PATTERNS: Final = {
    "array_pattern": None,
    "assignment_pattern": "left",
    "dictionary_splat_pattern": None,
    "expression_list": None,
    "list_pattern": None,
    "list_splat_pattern": None,
    "mut_pattern": None,
    "object_assignment_pattern": "left",
    "object_pattern": None,
    "pair_pattern": "value",
    "pattern_list": None,
    "ref_pattern": None,
    "rest_pattern": None,
    "tuple_pattern": None,
    "variable_declaration": None,
}
_SCOPES: Final = frozenset(
    {"arrow_function", "function_declaration", "function_expression", "function_definition", "function_item"}
    | {"method_definition", "method_declaration", "generator_function_declaration", "generator_function", "lambda"}
    | {"statement_block", "for_statement", "for_in_statement", "catch_clause", "func_literal", "block", "method"}
    | {"list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression"}
    | {
        "closure_expression",
        "lambda_literal",
        "lambda_expression",
        "anonymous_function",
        "do_block",
        "compound_statement",
    }
    | {"constructor_declaration", "local_function_statement", "singleton_method", "secondary_constructor"}
    | {"type_alias_declaration", "interface_declaration", "class_declaration", "class_body", "declaration_list"}
    | {"enhanced_for_statement", "for_expression", "if_expression", "match_arm", "function_type", "method_signature"}
    | {"function_signature", "call_signature", "abstract_method_signature", "if_statement", "class_definition"}
)
_PYTHON_SCOPES: Final = frozenset(
    {"function_definition", "lambda", "list_comprehension", "set_comprehension", "dictionary_comprehension"}
    | {"generator_expression"}
)
"""A block of Python is no scope of its own."""

_HERITAGE: Final = frozenset(
    {"extends_clause", "implements_clause", "extends_type_clause", "superclass", "super_interfaces", "type_list"}
    | {"base_list", "base_clause", "class_interface_clause", "delegation_specifier", "constructor_invocation"}
    | {"extends_interfaces", "trait_bounds"}
)
_CREATED: Final = frozenset({"new_expression", "object_creation_expression", "instance_expression"})
_CALLED: Final = frozenset(
    {
        "call",
        "call_expression",
        "function_call_expression",
        "invocation_expression",
        "method_invocation",
        "macro_invocation",
    }
    | {"member_call_expression", "scoped_call_expression", "nullsafe_member_call_expression"}
)


@dataclass(frozen=True)
class Reference:
    """One place that refers to a name."""

    name: str
    members: tuple[str, ...]
    """Names after it: `("b", "c")` of `a.b.c`."""
    line: int
    inside: str
    """Qualified name of the innermost definition around it; empty at file level."""
    how: How


def references(path: str, root: Any, names: Collection[str], around: Sequence[Definition]) -> list[Reference]:
    """Places in order of position.

    Args:
        path: decides the language.
        root: root of the file's syntax tree.
        names: what to look for.
        around: the file's definitions in order of their first line, as `structure.definitions` gives them.
    """
    language = language_of(path) or ""
    wanted = {name.encode("utf-8", "surrogatepass") for name in names}
    source: bytes = root.text
    shadows: dict[str, list[tuple[int, int]]] = {}
    places: list[tuple[Any, str, tuple[str, ...]]] = []
    for hit in _WORD.finditer(source):
        if hit[0] not in wanted:
            continue
        node = root.descendant_for_byte_range(hit.start(), hit.end())
        if node is None or node.type not in _NAMES or node.end_byte - node.start_byte != len(hit[0]):
            continue
        parent = node.parent
        if parent is None or parent.type in _SKIPPED or _is_member(node, parent):
            continue
        name = hit[0].decode("utf-8", "surrogatepass")
        if (scope := _bound(node, language)) is not None:
            if name not in SELVES and (scope[0] > 0 or scope[1] < len(source)):
                shadows.setdefault(name, []).append(scope)
            continue
        places.append((node, name, _members(source, hit.end())))
    first_lines = [item.first_line for item in around]
    found: list[Reference] = []
    for node, name, members in places:
        at = node.start_byte
        if any(begin <= at < end for begin, end in shadows.get(name, ())):
            continue
        line = node.start_point.row + 1
        begun = reversed(around[: bisect_right(first_lines, line)])
        inside = next((item.qualified for item in begun if line <= item.last_line), "")
        found.append(Reference(name, members, line, inside, _how(node)))
    return found


def _members(source: bytes, end: int) -> tuple[str, ...]:
    found: list[str] = []
    while len(found) < 4 and (after := _NEXT.match(source, end)):
        found.append(after[1].decode("utf-8", "surrogatepass"))
        end = after.end()
    return tuple(found)


def _is_member(node: Any, parent: Any) -> bool:
    """Whether a name is the member of something: `total` of `cart.total`."""
    fields = _MEMBERS.get(parent.type)
    if not fields or not any(parent.child_by_field_name(field) == node for field in fields):
        return False
    if parent.type in ("method_invocation", "call"):
        return any(parent.child_by_field_name(field) is not None for field in _OBJECTS)
    return True


def _bound(node: Any, language: str) -> tuple[int, int] | None:
    """First and last byte of the scope in which a name is bound here; None if it is not."""
    child, parent = node, node.parent
    if node.type == "shorthand_property_identifier_pattern":
        child, parent = parent, parent.parent
    while parent is not None and parent.type in _PATTERNS:
        field = _PATTERNS[parent.type]
        if field is not None and parent.child_by_field_name(field) != child:
            return None
        if parent.type == "variable_declaration" and "*first" in _BINDERS[parent.type] and parent.children[0] == child:
            break
        child, parent = parent, parent.parent
    if parent is None:
        return None
    fields = _BINDERS.get(parent.type, ())
    binds = any(
        field == "*"
        or (field == "*first" and parent.children[0] == child)
        or (field[0] != "*" and child in parent.children_by_field_name(field))
        for field in fields
    )
    if not binds and node.type != "shorthand_property_identifier_pattern":
        return None
    named_here = parent.child_by_field_name("name") == child and parent.type in _SCOPES
    scope = parent.parent if named_here else parent
    scopes = _PYTHON_SCOPES if language == "python" else _SCOPES
    while scope is not None and scope.type not in scopes:
        scope = scope.parent
    return (scope.start_byte, scope.end_byte) if scope is not None and scope.parent is not None else (0, 1 << 62)


def _how(node: Any) -> How:
    outer, parent = node, node.parent
    if parent is not None and parent.type == "await_expression":
        around = parent.parent  # the grammar reads `await load<T>(…)` as a call of `await load`
        if around is not None and around.type == "call_expression" and around.child_by_field_name("function") == parent:
            return "call"
    while parent is not None and (
        (parent.type in _MEMBERS and parent.type not in _CALLED)
        or parent.type
        in ("member_expression", "selector_expression", "nested_type_identifier", "generic_type", "user_type")
        or parent.type in ("navigation_expression", "qualified_type", "type_list")
    ):
        if parent.type == "type_list" and parent.parent is not None and parent.parent.type not in _HERITAGE:
            break
        outer, parent = parent, parent.parent
    if parent is None:
        return "value"
    kind = parent.type
    if kind in _HERITAGE or (kind == "argument_list" and parent.parent.type == "class_definition"):
        return "extends"
    if kind.startswith("jsx_") and kind.endswith("_element"):
        return "render"
    if kind in _CREATED:
        return "call"
    if kind in _CALLED:
        callee = parent.child_by_field_name("function") or parent.child_by_field_name("name")
        callee = callee or parent.child_by_field_name("method") or parent.child_by_field_name("macro")
        first = parent.child_by_field_name("object") or parent.child_by_field_name("receiver")
        callee = callee or parent.child_by_field_name("scope") or (parent.named_children or [None])[0]
        return "call" if outer in (callee, first, parent.child_by_field_name("scope")) else "value"
    if node.type == "type_identifier" or kind == "type" or kind.endswith("_type") or _in_type(outer):
        return "type"
    return "value"


def _in_type(node: Any) -> bool:
    """Whether a node stands in an annotation."""
    parent = node.parent
    for _ in range(6):
        if parent is None:
            return False
        if parent.type in ("type", "type_annotation", "type_arguments", "named_type", "generic_type"):
            return True
        if parent.child_by_field_name("type") == node or parent.child_by_field_name("returns") == node:
            return True
        if parent.type in _SCOPES or parent.type.endswith("_statement"):
            return False
        node, parent = parent, parent.parent
    return False


def written(node: Any) -> str:
    """A node's text on one line, without the space that a line break leaves inside brackets."""
    return unbroken(text_of(node))


def unbroken(text: str) -> str:
    """Code on one line: no space behind an opening bracket, neither space nor comma before a closing one."""
    return re.sub(r"(?<=[(\[]) |,? (?=[)\]])", "", " ".join(text.split()))
