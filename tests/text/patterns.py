"""Every regular expression of the code, found by reading it, and texts that make a slow one show itself."""

from __future__ import annotations

import ast
import re
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.text.readers import ROOMS, imported

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ("compile", "search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split")
ANCHORED = ("match", "fullmatch")
NAMED = "name"
"""What stands for a value that is only known at run time, such as `re.escape(name)`."""


@dataclass(frozen=True)
class Use:
    """A pattern and how the code applies it."""

    where: str
    pattern: re.Pattern[Any]
    anchored: bool
    """Asked at one place of a text only, so that its work need not be bounded from every place."""


def uses() -> list[Use]:
    """All patterns of tasks, flows and deployments: those written in a call of `re`, and those that a module of the
    rooms that read text has put together and holds.
    """
    found: dict[tuple[Any, int, bool], Use] = {}
    trees = {
        path: ast.parse(path.read_text("utf-8"))
        for name in ("tasks", "flows", "deployments")
        for path in sorted((ROOT / name).rglob("*.py"))
    }
    anchored = _anchored_names(trees.values())

    def add(where: str, pattern: re.Pattern[Any], is_anchored: bool) -> None:
        found.setdefault((pattern.pattern, pattern.flags, is_anchored), Use(where, pattern, is_anchored))

    for path, tree in trees.items():
        names, bound = _constants(tree), {id(value): name for name, value in _bindings(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_of_re(node) and (source := _text(node.args[0], names)) is not None:
                is_anchored = node.func.attr in ANCHORED or bound.get(id(node)) in anchored  # type: ignore[attr-defined]
                add(f"{path.relative_to(ROOT)}:{node.lineno}", re.compile(source, _flags(node)), is_anchored)
        room = path.relative_to(ROOT).parts[1]
        for name, value in vars((imported(path) if room in ROOMS else None) or object).items():
            for pattern in _patterns(value):
                add(f"{path.relative_to(ROOT)}: {name}", pattern, name in anchored)
    return list(found.values())


def _is_of_re(node: ast.Call) -> bool:
    named = node.func
    return (
        isinstance(named, ast.Attribute)
        and isinstance(named.value, ast.Name)
        and named.value.id == "re"
        and named.attr in FUNCTIONS
    )


def _patterns(value: Any) -> Iterator[re.Pattern[Any]]:
    """Those that a value of a module is or holds."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from _patterns(one)
    elif isinstance(value, dict):
        yield from _patterns(tuple(value.values()))


def _anchored_names(trees: Iterable[ast.Module]) -> set[str]:
    """Names of patterns that all modules together use as `NAME.match(…)` or `.fullmatch` only; `NAME.pattern` is a part
    of another pattern, which is looked at itself.
    """
    uses: dict[str, set[str]] = {}
    bound: set[str] = set()
    for tree in trees:
        parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                parent = parents[node]
                name = node.id if isinstance(node, ast.Name) else node.attr
                uses.setdefault(name, set()).add(_applied(parent))
        bound |= {name for name, _ in _bindings(tree)}
    return {name for name in bound if uses.get(name, {""}) <= {*ANCHORED, "pattern"}}


def _applied(parent: ast.AST) -> str:
    """What is done with a pattern; one that is put together with others is a part of another."""
    return parent.attr if isinstance(parent, ast.Attribute) else "pattern" if isinstance(parent, ast.Tuple) else ""


def _bindings(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        targets = (
            [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
        )
        if targets and isinstance(targets[0], ast.Name) and node.value is not None:
            yield targets[0].id, node.value


def _constants(tree: ast.Module) -> dict[str, str]:
    """Strings that the module's patterns are built of."""
    names: dict[str, str] = {}
    for name, value in _bindings(tree):
        if isinstance(said := _text(value, names), str):
            names[name] = said
    return names


def _text(node: ast.expr, names: dict[str, str]) -> Any:
    """The pattern that an expression writes; None where it is made at run time as a whole."""
    match node:
        case ast.Constant(value=str() | bytes() as value):
            return value
        case ast.Name(id=name):
            return names.get(name)
        case ast.JoinedStr(values=values):
            parts = [_text(part.value if isinstance(part, ast.FormattedValue) else part, names) for part in values]
            return "".join(NAMED if part is None else part for part in parts)
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            parts = [_text(left, names), _text(right, names)]
            return None if parts == [None, None] else "".join(NAMED if part is None else part for part in parts)
        case _:
            return None


def _flags(node: ast.Call) -> int:
    given = [keyword.value for keyword in node.keywords if keyword.arg == "flags"]
    if isinstance(node.func, ast.Attribute):
        at = {"sub": 4, "subn": 4, "split": 3}.get(node.func.attr, 1 if node.func.attr == "compile" else 2)
        given += node.args[at : at + 1]
    return int(eval(ast.unparse(given[0]), {"re": re})) if given else 0


def pumped(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str]]:
    """(what leads to it, what it repeats) for every repetition of a pattern, so that each one is made to run long and
    then to fail."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    yield from _repeats(tree, "")


def _repeats(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    for code, value in tree:
        if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            least, most, inner = value
            one = _example(inner)
            if most > 8 and one:
                yield before, one
            yield from _repeats(inner, before)
            before += one * min(least, 40)
            continue
        if code is op.SUBPATTERN:
            yield from _repeats(value[3], before)
        elif code is op.ATOMIC_GROUP:
            yield from _repeats(value, before)
        elif code is op.BRANCH:
            for branch in value[1]:
                yield from _repeats(branch, before)
        before += _example([(code, value)])


def _example(tree: Any) -> str:
    """A short text that a part of a pattern takes."""
    said = ""
    for code, value in tree:
        if code is op.LITERAL:
            said += chr(value)
        elif code is op.ANY:
            said += "a"
        elif code is op.NOT_LITERAL:
            said += next(one for one in "a b" if ord(one) != value)
        elif code is op.IN:
            said += _member(value)
        elif code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            said += _example(value[2]) * min(max(value[0], min(1, value[1])), 400)
        elif code is op.SUBPATTERN:
            said += _example(value[3])
        elif code is op.ATOMIC_GROUP:
            said += _example(value)
        elif code is op.BRANCH:
            said += _example(value[1][0])
    return said


def _member(members: Any) -> str:
    for one in "a0A_ -.,:/'\"`<>()[]{}|#@$=+*&%!?;~^\\\n\t\r\0é漢\u2028\ud800\udc00":
        inside = False
        negated = members[0][0] is op.NEGATE
        for code, value in members:
            if code is op.LITERAL:
                inside |= ord(one) == value
            elif code is op.RANGE:
                inside |= value[0] <= ord(one) <= value[1]
            elif code is op.CATEGORY:
                kind = str(value).rpartition("_")[2].lower()
                yes = {"digit": one.isdigit(), "space": one.isspace(), "word": one.isalnum() or one == "_"}[kind]
                inside |= yes != ("NOT" in str(value))
        if inside != negated:
            return one
    return ""
