"""Checks facts about Python by its own parser (`ast`), for the kinds that it can tell. No code of the room."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath

from tasks.text.facts import Fact

Texts = Mapping[str, str]
"""Text by path."""


@lru_cache(maxsize=256)
def _tree(text: str) -> ast.Module:
    return ast.parse(re.sub(r"\[redacted:[\w-]+\]", "redacted", text))


def hands_on(path: str, name: str, texts: Texts) -> bool:
    """Whether a Python file has a name by `import *`: the module lists it in `__all__`, defines it or hands it on."""
    for one in _tree(texts[path]).body if path.endswith(".py") else ():
        if not isinstance(one, ast.ImportFrom) or one.names[0].name != "*":
            continue
        folder = PurePosixPath(path).parents[one.level - 1].as_posix() if one.level else "."
        stem = "/".join(part for part in (folder, *(one.module or "").split(".")) if part not in (".", ""))
        module = next((found for found in (f"{stem}.py", f"{stem}/__init__.py") if found in texts), None)
        if module is None:
            continue
        body = _tree(texts[module]).body
        listed = [
            ast.literal_eval(each.value)
            for each in body
            if isinstance(each, ast.Assign) and "__all__" in map(ast.unparse, each.targets)
        ]
        if listed:
            if name in listed[0]:
                return True
            continue
        defined = {getattr(each, "name", "") for each in body}
        defined |= {ast.unparse(each.targets[0]) for each in body if isinstance(each, ast.Assign)}
        defined |= {ast.unparse(each.target) for each in body if isinstance(each, ast.AnnAssign)}
        if module.endswith("__init__.py"):
            defined |= {of.asname or of.name for each in body if isinstance(each, ast.ImportFrom) for of in each.names}
        if not name.startswith("_") and (name in defined or hands_on(module, name, texts)):
            return True
    return False


def _node(tree: ast.Module, qualified: str) -> ast.AST | None:
    found: ast.AST | None = tree
    for name in qualified.split("."):
        body = getattr(found, "body", [])
        named = [
            one
            for one in body
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and one.name == name
        ]
        if len(named) != 1:
            return None
        found = named[0]
    return found


def by_ast(fact: Fact, path: str, texts: Texts) -> str:
    """Why a fact about Python is not right by the syntax tree; empty if it is, or if its kind cannot be told so."""
    node = _node(_tree(texts[path]), fact.subject)
    if fact.kind == "default" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        plain = [*arguments.posonlyargs, *arguments.args]
        pairs = list(zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True))
        pairs += [(one, value) for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
        found = {one.arg: ast.unparse(value) for one, value in pairs}
        said = ast.unparse(ast.parse(fact.words["written"], mode="eval"))
        return (
            ""
            if found.get(fact.words["parameter"]) == said
            else f"has the default {found.get(fact.words['parameter'])}"
        )
    if fact.kind == "hierarchy" and isinstance(node, ast.ClassDef):
        bases = {ast.unparse(base).split("[")[0] for base in node.bases}
        return "" if set(fact.values) <= bases else f"has the bases {bases}"
    if fact.kind == "calls" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        called = {ast.unparse(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
        called |= {ast.unparse(one) for one in ast.walk(node) if isinstance(one, ast.Name | ast.Attribute)} & {
            ast.unparse(one.exc) for one in ast.walk(node) if isinstance(one, ast.Raise) and one.exc
        }
        last = {name.rsplit(".", 1)[-1] for name in called}
        last |= {one.name for one in ast.walk(_tree(texts[path])) if isinstance(one, ast.alias) and one.asname in last}
        missing = [value for value in fact.values if value.rsplit(".", 1)[-1] not in last]
        return f"does not call {missing[0]}" if missing else ""
    if fact.kind in ("error", "error-message") and node is not None:
        conditions = {ast.unparse(one.test) for one in ast.walk(node) if isinstance(one, ast.If)}
        missing = [value for value in fact.values if ast.unparse(ast.parse(value, mode="eval")) not in conditions]
        return f"has no condition {missing[0]}" if missing else ""
    if fact.kind == "raises" and node is not None:
        raised = {
            ast.unparse(one.exc).split("(")[0] for one in ast.walk(node) if isinstance(one, ast.Raise) and one.exc
        }
        return "" if set(fact.values) <= raised else f"raises {raised}"
    if fact.kind == "type" and isinstance(node, ast.ClassDef):
        names = [
            one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        ]
        return "" if list(fact.values) == names else f"has the fields {names}"
    if fact.kind == "enum" and isinstance(node, ast.ClassDef):
        members = [
            one.targets[0].id
            for one in node.body
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
        ]
        return "" if list(fact.values) == members else f"has the members {members}"
    if fact.kind == "purpose" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        documented = " ".join((ast.get_docstring(node) or "").split())
        told = re.sub(r"\[redacted:[\w-]+\]", "redacted", fact.values[0])
        return "" if not documented or told in documented else "is not its docstring"
    if fact.kind == "value":
        stem = PurePosixPath(path).name
        owner = (
            _node(_tree(texts[path]), fact.subject.rpartition(".")[0]) if "." in fact.subject else _tree(texts[path])
        )
        for one in getattr(owner, "body", []):
            targets = (
                one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
            )
            if any(isinstance(target, ast.Name) and target.id == fact.subject.rsplit(".", 1)[-1] for target in targets):
                value = one.value  # type: ignore[attr-defined]
                said = ast.literal_eval(fact.words["written"])
                return (
                    ""
                    if isinstance(value, ast.Constant | ast.UnaryOp) and ast.literal_eval(value) == said
                    else "is another value"
                )
        return f"{stem} does not assign it"
    return ""
