"""Facts of errors: what a function raises, with which message, and under which condition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.synthesis.facts.source import Source
from tasks.synthesis.facts.syntax import arguments_of, call_of, string_of
from tasks.text.facts import Fact, Shape
from tasks.text.references import written
from tasks.text.structure import Definition
from tasks.text.syntax_tree import nodes_of, text_of

MAX_CONDITION: Final = 160
MAX_MESSAGE: Final = 200

_RAISES: Final = (
    "raise_statement",
    "throw_statement",
    "throw_expression",
    "return_statement",
    "return_expression",
    "jump_expression",
    "call",
)
_IFS: Final = frozenset(
    {"if_statement", "if_expression", "elif_clause", "if_modifier", "unless_modifier", "if", "unless"}
)
_CATCHES: Final = frozenset({"except_clause", "catch_clause", "rescue", "catch_block"})
_TRIES: Final = frozenset({"try_statement", "try_expression", "begin"})
_OTHERS: Final = frozenset(
    {"for_statement", "while_statement", "for_in_statement", "switch_statement", "switch_case", "match_statement"}
    | {"case_clause", "else_clause", "else", "elsif", "match_arm", "match_expression", "when", "with_statement"}
    | {"conditional_expression", "ternary_expression", "try_statement", "while_expression", "for_expression"}
    | {
        "enhanced_for_statement",
        "foreach_statement",
        "expression_switch_statement",
        "expression_case",
        "switch_default",
    }
)
_FUNCTIONS: Final = frozenset(
    {"function_definition", "function_declaration", "method_definition", "method_declaration", "arrow_function"}
    | {"function_expression", "lambda", "method", "singleton_method", "function_item", "func_literal", "lambda_literal"}
    | {
        "constructor_declaration",
        "closure_expression",
        "lambda_expression",
        "do_block",
        "generator_function_declaration",
    }
)


@dataclass(frozen=True)
class Raised:
    """One place that raises."""

    error: str
    """Name of the error's class, or of the function that makes it."""
    message: str
    """Plain message; empty if it has parts to fill in."""
    conditions: tuple[str, ...]
    """Conditions of the branches around it, outermost first; `not (…)` for an `else`."""
    caught: str
    """Error in whose handler it is raised; empty outside of one."""
    whole: bool
    """Whether nothing but those branches stands between the function and the place."""
    first: int
    last: int


def facts(source: Source) -> Iterator[Fact]:
    """Facts of what the functions of a file raise, in order of lines; none for tests."""
    if source.is_test:
        return
    by_owner: dict[str, list[Raised]] = {}
    owners: dict[str, Definition] = {}
    for item, raised in _raised(source):
        by_owner.setdefault(item.qualified, []).append(raised)
        owners[item.qualified] = item
    for qualified, found in by_owner.items():
        item = owners[qualified]
        scope = source.scope_of(item.qualified)
        noun = source.noun(item)
        errors = list(dict.fromkeys(one.error for one in found))
        span = (item.first_line, item.last_line)
        if len(errors) > 1:
            yield source.fact("raises", qualified, errors, Shape.ALL, span, scope=scope, thing=noun)
        for one in found:
            yield from _told(source, item, one, found, scope, noun)


def _told(source: Source, item: Definition, one: Raised, found: list[Raised], scope: str, noun: str) -> Iterator[Fact]:
    words = {"error": one.error, "message": one.message, "thing": noun, "caught": one.caught}
    words["raised"] = raised_as(one.error)
    span = (one.first, one.last)
    alone = sum(other.error == one.error for other in found) == 1
    condition = " and ".join(f"`{text}`" for text in one.conditions)
    if condition and one.whole and len(condition) <= MAX_CONDITION and not one.caught:
        words["condition"] = condition
        if alone or one.message:
            yield source.fact(
                "error" if alone else "error-message",
                item.qualified,
                one.conditions,
                Shape.PROSE,
                span,
                scope=scope,
                **words,
            )
    if one.caught and alone and not one.conditions:
        yield source.fact("error-translation", item.qualified, [one.error], Shape.ONE, span, scope=scope, **words)
    same = [other for other in found if other.message == one.message]
    if one.message and len(one.message.split()) > 2 and len(same) == 1 and source.graph.messages[one.message] == 1:
        yield source.fact(
            "error-origin",
            one.message,
            [item.qualified],
            Shape.ONE,
            span,
            function=item.qualified,
            condition=words.get("condition", ""),
            error=one.error,
            raised=raised_as(one.error),
            thing=noun,
        )
        if alone:
            yield source.fact("message", item.qualified, [one.message], Shape.ONE, span, scope=scope, **words)


def raised_as(error: str) -> str:
    """An error as a person says it: by its class, or just “an error” where only a function that makes it is known."""
    return (
        f"`{error}`" if re.split(r"[.:\\]", error)[-1][:1].isupper() and not error.startswith("errors.") else "an error"
    )


def _raised(source: Source) -> Iterator[tuple[Definition, Raised]]:
    for node in nodes_of(source.path, source.root, _RAISES):
        made = _made(node)
        item = source.inside(node.start_point.row + 1)
        if made is None or item is None or item.kind not in ("function", "method"):
            continue
        if source.graph.symbol(source.path, item.qualified) is None:
            continue
        conditions, caught, whole, functions = _around(node)
        if functions > 1:
            continue
        error, message = made
        last = node.end_point.row + 1
        first = node.start_point.row + 1
        outer = node
        while outer is not None and conditions and written_condition(outer) != conditions[0]:
            outer = outer.parent
        if outer is not None:
            first = outer.start_point.row + 1
        yield item, Raised(error, message, tuple(conditions), caught, whole, first, last)


def written_condition(node: Any) -> str:
    """The condition of an `if`, without its parentheses; empty for other nodes."""
    if node.type not in _IFS:
        return ""
    found = node.child_by_field_name("condition")
    if found is None:
        return ""
    text = written(found)
    return text[1:-1].strip() if found.type == "parenthesized_expression" else text


def _made(node: Any) -> tuple[str, str] | None:
    """Name and plain message of the error that a statement raises; None if it raises none or one that was caught."""
    if node.type == "call":  # Ruby
        site = call_of(node)
        if site is None or site.receiver or site.name not in ("raise", "fail") or not site.arguments:
            return None
        first = site.arguments[0]
        message = next((text for one in site.arguments if (text := string_of(one)) is not None), "")
        if first.type in ("constant", "scope_resolution"):
            return text_of(first), message[:MAX_MESSAGE]
        made = call_of(first) if first.type == "call" else None
        return (made.receiver, _message(made.arguments)) if made and made.name == "new" else None
    value = next((child for child in node.named_children if not child.type.endswith("comment")), None)
    if value is None:
        return None
    if node.type in ("return_statement", "return_expression"):
        return _returned(value)
    if node.type == "jump_expression" and not text_of(node).startswith("throw"):  # Kotlin's return, break and continue
        return None
    if value.type in ("new_expression", "object_creation_expression", "instance_expression"):
        kind = value.child_by_field_name("constructor") or value.child_by_field_name("type") or value.named_children[0]
        listed = value.child_by_field_name("arguments") or value.named_children[-1]
        return _named(written(kind), _message(arguments_of(listed)))
    site = call_of(value) if value.type in ("call", "call_expression") else None
    if site is not None:
        return _named(f"{site.receiver}.{site.name}".lstrip("."), _message(site.arguments))
    if value.type in ("identifier", "attribute") and re.fullmatch(r"(\w+\.)*[A-Z]\w*", written(value)):
        return written(value), ""
    return None


def _named(name: str, message: str) -> tuple[str, str] | None:
    last = re.split(r"[.:\\]", name)[-1]
    named = last[:1].isupper() or last.endswith("Error")
    return (name, message) if named and re.fullmatch(r"[\w.:\\]{2,80}", name) else None


def _returned(value: Any) -> tuple[str, str] | None:
    """Go's `return …, errors.New("…")`, Rust's `return Err(…)`."""
    text = written(value)
    go = re.search(r"\b(errors\.New|fmt\.Errorf)\(\"([^\"]{1,200})\"", text)
    if go and value.type == "expression_list":
        return go[1], go[2] if "%" not in go[2] else ""
    rust = re.fullmatch(r"Err\(\s*([A-Z]\w*(?:::\w+)*)\b.{0,200}", text)
    return (rust[1], "") if rust and value.type == "call_expression" else None


def _message(arguments: tuple[Any, ...]) -> str:
    message = string_of(arguments[0]) if arguments else None
    return message if message and len(message) <= MAX_MESSAGE and "\n" not in message else ""


def _around(node: Any) -> tuple[list[str], str, bool, int]:
    """Conditions around a node, the error of the handler it is in, whether only those stand around it, and how many
    functions do.
    """
    conditions: list[str] = []
    caught, whole, functions = "", True, 0
    child, parent = node, node.parent
    while parent is not None:
        if parent.type in _FUNCTIONS:
            functions += 1
        elif functions == 0:
            if parent.type in _IFS:
                text = written_condition(parent)
                taken = parent.child_by_field_name("consequence") or parent.child_by_field_name("body")
                chained = parent.type == "elif_clause" or (
                    (
                        parent.parent is not None
                        and parent.parent.type in ("else_clause", "if_statement", "if_expression")
                        and parent.parent.child_by_field_name("consequence") != parent
                        and parent.parent.type != "if_statement"
                    )
                    or parent.type in ("unless", "unless_modifier")
                )
                if child == taken and text and len(text) <= MAX_CONDITION:
                    conditions.insert(0, text)
                elif child != parent.child_by_field_name("condition"):
                    whole = False
                whole = whole and not chained
            elif parent.type in _TRIES and child == parent.child_by_field_name("body"):
                if any(one.type in _CATCHES for one in parent.named_children):
                    functions += 2  # it may be caught right there
            elif parent.type in _CATCHES:
                named = next((one for one in parent.named_children if one.type not in ("block", "comment")), None)
                said = re.split(r"(?<!\s)\s+as\s+", written(named))[0] if named is not None else ""
                caught = caught or (
                    f"`{said}`" if re.fullmatch(r"(\w+[.:])*:?[A-Z]\w*|\w+\.\w*error", said) else "an error"
                )
            elif parent.type in _OTHERS and parent.type not in ("with_statement", "try_statement"):
                whole = False
        child, parent = parent, parent.parent
    return conditions, caught, whole and len(conditions) <= 2, functions
