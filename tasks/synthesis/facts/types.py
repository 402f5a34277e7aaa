"""Facts of data: the fields of a type and how two types of a file differ, the members of an enum, the alternatives of a
union.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.synthesis.facts.definitions import is_sought
from tasks.synthesis.facts.source import MIN_NAME, Source, in_words
from tasks.synthesis.facts.syntax import call_of, literal_of, string_of
from tasks.text.facts import Fact, Shape
from tasks.text.languages import CLASS
from tasks.text.references import written
from tasks.text.structure import Definition
from tasks.text.syntax_tree import nodes_of, text_of

MAX_MEMBERS: Final = 40
MAX_TYPE: Final = 120
"""Characters of a field's type that can be said in a sentence."""
MAX_SINGLE: Final = 24
"""Fields of one type that are asked for one by one."""

MIN_SHARED: Final = 2
MIN_ALIKE: Final = 0.4
"""Share of common fields among all of both, before two types are compared."""
MAX_NAMED: Final = 8
"""Fields that one sentence can hold."""

_OWNERS: Final = (
    "class",
    "class_declaration",
    "class_definition",
    "enum_declaration",
    "enum_item",
    "interface_declaration",
    "record_declaration",
    "struct_declaration",
    "struct_item",
    "type_alias_declaration",
    "type_spec",
)
_FIELDS: Final = frozenset(
    {"property_signature", "field_declaration", "property_declaration", "class_parameter", "public_field_definition"}
    | {"formal_parameter", "parameter", "assignment", "property_promotion_parameter"}
)
_MEMBERS: Final = frozenset(
    {"enum_assignment", "enum_constant", "enum_entry", "enum_variant", "enum_member_declaration", "enum_case"}
)
_BODIES: Final = frozenset(
    {
        "interface_body",
        "object_type",
        "class_body",
        "block",
        "declaration_list",
        "field_declaration_list",
        "struct_type",
    }
    | {"enum_body", "enum_class_body", "enum_variant_list", "enum_member_declaration_list", "enum_declaration_list"}
    | {"primary_constructor", "formal_parameters", "parameter_list", "body_statement", "enum_body_declarations"}
)


_LIBRARY: Final = """
Any Array ArrayList Boolean Callable Date DateTime Decimal Dict Double Element ElementType FC Float HashMap Instant
Int Integer Iterable Iterator JSX List Literal LocalDate Long Map Mapping Nullable Number Object Option Optional
Partial Promise React ReactElement ReactNode Readonly Record Response SerializedStyles Set String Tuple Union Url Uuid
Vec Void
"""
_KNOWN_TYPES: Final = frozenset(_LIBRARY.split())
"""Types of languages and their libraries: a field of one of them tells nothing of the repository."""


@dataclass(frozen=True)
class Member:
    """A field or a member."""

    name: str
    type: str
    """As written; empty if it has none."""
    value: str
    """A literal as written; empty if it has none."""
    optional: bool
    line: int
    last: int = 0
    """Last line, where it is not the first."""


def facts(source: Source) -> Iterator[Fact]:
    """Facts of the types that a file declares, in order of lines; none for tests."""
    if source.is_test:
        return
    told: list[tuple[Definition, list[Member]]] = []
    for node in nodes_of(source.path, source.root, _OWNERS):
        named = node.child_by_field_name("name") or next(
            (child for child in node.named_children if child.type.endswith("identifier")), None
        )
        name = text_of(named) if named is not None else ""
        item = source.inside(node.start_point.row + 1)
        if (
            len(name) < MIN_NAME
            or item is None
            or item.name != name
            or source.graph.symbol(source.path, item.qualified) is None
        ):
            continue
        span = (item.first_line, item.last_line)
        scope = source.scope_of(name)
        if alternatives := _alternatives(node):
            yield source.fact(
                "union",
                name,
                alternatives,
                Shape.ALL,
                span,
                scope=scope,
            )
            continue
        enum = _is_enum(node)
        members = enum_members(node) if enum else fields(node)
        if 1 < len(members) <= MAX_MEMBERS and len({one.name for one in members}) == len(members):
            above = [] if enum else _inherited(source, node, item)
            yield from _enum(source, item, members) if enum else _type(source, item, members, above)
            if not enum and not above and source.graph.is_unique(name):
                told.append((item, members))
    for place, (item, members) in enumerate(told):
        yield from _difference(source, item, members, told[place + 1 :])


def _inherited(source: Source, node: Any, item: Definition) -> list[str]:
    """What a type has fields from besides its own: of an interface all that it extends, of a class the repository's."""
    clauses = [child for child in node.named_children if child.type == "extends_type_clause"]
    written_there = [written(one) for clause in clauses for one in clause.named_children]
    edges = source.graph.made_of(source.path, item.qualified)
    own = [one.target for one in edges if one.how == "extends" and one.inside == item.qualified]
    own_classes = [one.name for one in own if one.kind == CLASS]  # an interface's fields are declared once more
    return written_there or list(dict.fromkeys(own_classes))


def _type(source: Source, item: Definition, members: list[Member], above: list[str]) -> Iterator[Fact]:
    name, noun, scope = item.name, source.noun(item), source.scope_of(item.qualified)
    span = (item.first_line, item.last_line)
    names = [one.name for one in members]
    lines = "\n".join(f"- `{one.name}`: `{one.type}`" if one.type else f"- `{one.name}`" for one in members)
    rest = f"What {in_words(above)} {'has' if len(above) == 1 else 'have'} comes on top." if above else ""
    words = {"thing": noun}
    owner = source.graph.symbol(source.path, name.removesuffix("Props"))
    if name.endswith("Props") and owner is not None and source.noun(owner) == "component":
        told = {"lines": lines, "type": name, "inherited": rest}
        yield source.fact("props", owner.name, names, Shape.ALL, span, scope=source.scope_of(owner.name), **told)
        return
    yield source.fact("type", name, names, Shape.ALL, span, scope=scope, lines=lines, inherited=rest, **words)
    optional = [one.name for one in members if one.optional]
    if 0 < len(optional) < len(names):
        required = [one.name for one in members if not one.optional]
        yield source.fact(
            "optional-fields",
            name,
            optional,
            Shape.ALL,
            span,
            scope=scope,
            required=in_words(required),
            inherited=rest,
            **words,
        )
    for one in members[:MAX_SINGLE] if is_sought(source, item) else ():
        if len(one.type) <= MAX_TYPE and len(one.name) >= 2 and _tells(one.type):
            yield source.fact(
                "field",
                name,
                [one.type],
                Shape.ONE,
                (one.line, max(one.line, one.last)),
                scope=scope,
                field=one.name,
                type=one.type,
                optional="yes" if one.optional else "",
                thing=noun,
            )


def _difference(
    source: Source, item: Definition, members: list[Member], others: list[tuple[Definition, list[Member]]]
) -> Iterator[Fact]:
    """How a type differs from the later one of its file that shares most fields with it."""
    mine = {one.name: one for one in members}
    alike = [
        (len(mine.keys() & names) / len(mine.keys() | names), -place)
        for place, (_, theirs) in enumerate(others)
        if len(mine.keys() & (names := {one.name for one in theirs})) >= MIN_SHARED
    ]
    share, place = max(alike, default=(0.0, 0))
    if share < MIN_ALIKE:
        return
    other, found = others[-place]
    theirs = {one.name: one for one in found}
    both = [name for name in mine if name in theirs]
    only = [
        (item, [name for name in mine if name not in theirs]),
        (other, [name for name in theirs if name not in mine]),
    ]
    changed = [name for name in both if mine[name].type != theirs[name].type]
    if max(len(both), len(changed), *(len(names) for _, names in only)) > MAX_NAMED:
        return
    sentences = [f"Both have {in_words(both)}."]
    sentences += [f"Only `{one.name}` has {in_words(names)}." for one, names in only if names]
    sentences += [
        f"`{name}` is `{mine[name].type}` in `{item.name}` and `{theirs[name].type}` in `{other.name}`."
        for name in changed
        if mine[name].type and theirs[name].type and max(len(mine[name].type), len(theirs[name].type)) <= MAX_TYPE
    ]
    if len(sentences) > 1:
        span = (min(item.first_line, other.first_line), max(item.last_line, other.last_line))
        where = f"Both are in `{source.path}`."
        words = {"other": other.name, "thing": source.noun(item)}
        yield source.fact("difference", item.name, [*sentences, where], Shape.PROSE, span, **words)


def _tells(kind: str) -> bool:
    """Whether a field's type says something of this repository: a choice of literals, or a type that it has named."""
    if not re.sub(r"[\s?|\[\]]|\b(?:null|undefined|None|nil)\b", "", kind) or "=>" in kind or "{" in kind:
        return False
    named = set(re.findall(r"\b[A-Z]\w+", kind)) - _KNOWN_TYPES
    return bool(named) or _is_choice(kind)


def _is_choice(kind: str) -> bool:
    """Whether a type is a union with literals in quotes on both sides of a bar."""
    first, last = kind.find("|"), kind.rfind("|")
    return first >= 0 and any(mark in kind[:last] for mark in "'\"") and any(mark in kind[first:] for mark in "'\"")


def _enum(source: Source, item: Definition, members: list[Member]) -> Iterator[Fact]:
    name, scope, span = item.name, source.scope_of(item.qualified), (item.first_line, item.last_line)
    names = [one.name for one in members]
    lines = "\n".join(f"- `{one.name}` = `{one.value}`" if one.value else f"- `{one.name}`" for one in members)
    yield source.fact(
        "enum",
        name,
        names,
        Shape.ALL,
        span,
        scope=scope,
        lines=lines,
    )
    for one in members[:MAX_SINGLE]:
        if one.value and one.value.strip("'\"`") != one.name:
            yield source.fact(
                "enum-value",
                name,
                [one.value.strip("'\"`")],
                Shape.ONE,
                (one.line, one.line),
                scope=scope,
                member=one.name,
                written=one.value,
            )


def _alternatives(node: Any) -> list[str]:
    """Literals of a union type: `'a' | 'b'`."""
    value = node.child_by_field_name("value") if node.type == "type_alias_declaration" else None
    if value is None or value.type != "union_type":
        return []
    found: list[str] = []
    stack = [value]
    while stack:
        one = stack.pop()
        if one.type == "union_type":
            stack += reversed(one.named_children)
        elif one.type == "literal_type" and one.named_child_count and (text := string_of(one.named_children[0])):
            found.append(text)
        elif not one.type.endswith("comment"):
            return []
    return found if 1 < len(found) <= MAX_MEMBERS and len(set(found)) == len(found) else []


def _is_enum(node: Any) -> bool:
    if "enum" in node.type:
        return True
    if node.type == "class_definition":
        return bool(
            re.search(
                r"\b(Int|Str)?(Enum|Flag)\b", text_of(node.child_by_field_name("superclasses") or node).split("\n")[0]
            )
        )
    return any(child.type == "enum_class_body" or child.type == "enum" for child in node.children)


def _bodies(node: Any) -> Iterator[Any]:
    value = node.child_by_field_name("value") or node.child_by_field_name("type")
    children = {child.start_byte: child for child in [*node.named_children, *([value] if value is not None else [])]}
    for child in children.values():
        if child.type in _BODIES:
            yield child
            yield from (inner for inner in child.named_children if inner.type in _BODIES - {"parameter_list", "block"})


def enum_members(node: Any) -> list[Member]:
    """Members of an enum in order of position."""
    found: dict[int, Member] = {}
    for body in _bodies(node):
        for child in body.named_children:
            line = child.start_point.row + 1
            if child.type == "property_identifier":
                found[child.start_byte] = Member(text_of(child), "", "", False, line)
            elif child.type in _MEMBERS:
                named = child.child_by_field_name("name") or child.named_children[0]
                value = literal_of(child.child_by_field_name("value")) or ""
                found[child.start_byte] = Member(text_of(named), "", value, False, line)
            elif child.type in ("expression_statement", "assignment"):  # Python
                inner = child.named_children[0] if child.type == "expression_statement" else child
                left = inner.child_by_field_name("left") if inner.type == "assignment" else None
                if left is not None and left.type == "identifier" and re.fullmatch(r"[A-Z][A-Z0-9_]*", text_of(left)):
                    right = inner.child_by_field_name("right")
                    pair = (
                        next(iter(right.named_children), None) if right is not None and right.type == "tuple" else right
                    )
                    found[child.start_byte] = Member(text_of(left), "", literal_of(pair) or "", False, line)
    return [found[at] for at in sorted(found)]


def fields(node: Any) -> list[Member]:
    """Fields of a type in order of position; of a class those that are declared with a type."""
    found: dict[int, Member] = {}
    for body in _bodies(node):
        if body.type in ("formal_parameters", "parameter_list") and "record" not in node.type:
            continue
        for child in body.named_children:
            inner = (
                child.named_children[0] if child.type == "expression_statement" and child.named_child_count else child
            )
            if inner.type in _FIELDS:
                for member in _field(inner):
                    found[len(found)] = member
    return list(found.values())


def _field(node: Any) -> list[Member]:
    line = node.start_point.row + 1
    kind = node.child_by_field_name("type") or next(
        (child for child in node.named_children if child.type in ("user_type", "nullable_type", "type_annotation")),
        None,
    )
    if node.type == "property_signature" and kind is None:
        return []
    if node.type == "assignment":  # Python: only annotated names are fields
        left = node.child_by_field_name("left")
        if kind is None or left is None or left.type != "identifier" or "ClassVar" in text_of(kind):
            return []
        return [_member(text_of(left), kind, node.child_by_field_name("right"), line)]
    words = {
        text_of(child) for child in node.named_children if child.type in ("modifiers", "modifier", "static_modifier")
    }
    if any(re.search(r"\b(static|const)\b", word) for word in words) or any(
        child.type == "static" for child in node.children
    ):
        return []
    if node.type == "class_parameter" and not any(
        child.type == "binding_pattern_kind" for child in node.named_children
    ):
        return []
    names = node.children_by_field_name("name")
    if not names:
        declarators = node.children_by_field_name("declarator") or [
            child
            for outer in node.named_children
            if outer.type in ("variable_declaration", "property_element")
            for child in (outer.named_children if outer.type == "variable_declaration" else [outer])
            if child.type in ("variable_declarator", "property_element", "simple_identifier")
        ]
        names = [one.child_by_field_name("name") or one for one in declarators]
        if node.type == "class_parameter":
            names = [child for child in node.named_children if child.type == "simple_identifier"][:1]
        kind = kind or next((one for outer in node.named_children if (one := outer.child_by_field_name("type"))), None)
    optional = any(child.type == "?" for child in node.children)
    return [
        Member(text_of(one).lstrip("$").strip("'\"`"), _type_text(kind), "", optional, line, node.end_point.row + 1)
        for one in names
        if one.type != "computed_property_name"
    ]


def _member(name: str, kind: Any, value: Any, line: int) -> Member:
    text = _type_text(kind)
    optional = bool(re.search(r"\bNotRequired\[", text)) or (value is not None)
    return Member(name, text, literal_of(value) or "", optional, line)


def _type_text(kind: Any) -> str:
    return written(kind).removeprefix(":").strip() if kind is not None else ""


def attributes(node: Any) -> list[str]:
    """Names that a Ruby class makes attributes of."""
    return [
        text_of(one).lstrip(":")
        for child in node.named_children
        if child.type == "call" and (site := call_of(child)) and site.name.startswith("attr_")
        for one in site.arguments
    ]
