"""Package manifests as facts: dependencies with their versions, scripts with their commands. Pure; a broken manifest
has none.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

MAX_LINE_CHARACTERS = 2_000
"""Of a TOML file; a longer key with dots costs the parser the square of its length."""
_REQUIREMENT = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]{0,200})(?:\[[^\]]{0,400}\])?\s{0,40}(?P<value>(?:[=<>!~]=?|===)[^;#\s][^;#]*)"
)
_GO = re.compile(
    r"^\s{0,40}(?:require\s{1,40})?(?P<name>[\w-]{1,100}(?:\.[\w-]{1,100}){1,10}(?:/[\w.~-]{1,100}){0,20})"
    r"\s{1,40}(?P<value>v\d\S{0,100})"
)

GROUPS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")


@dataclass(frozen=True)
class Entry:
    """One line of a manifest."""

    kind: Literal["dependency", "script"]
    group: str
    """The manifest's own name for the list it stands in."""
    name: str
    value: str
    line: int


def entries(path: str, text: str) -> list[Entry]:
    """Dependencies and scripts of a manifest in order of their lines; none if the file is no manifest or is broken."""
    name = PurePosixPath(path).name
    try:
        if name == "package.json":
            return sorted(_package(text), key=lambda entry: entry.line)
        if name in ("pyproject.toml", "Cargo.toml"):
            return sorted(_toml(text), key=lambda entry: entry.line)
        if re.fullmatch(r"(requirements|constraints).*\.txt", name):
            return list(_lines(text, _REQUIREMENT, name))
        if name == "go.mod":
            return list(_lines(text, _GO, "require"))
    except (ValueError, RecursionError):
        return []
    return []


def _package(text: str) -> Iterator[Entry]:
    document = json.loads(text)
    if not isinstance(document, dict):
        return
    for group in (*GROUPS, "scripts"):
        listed = document.get(group)
        for name, value in listed.items() if isinstance(listed, dict) else ():
            line = _line(text, f'"{group}"', f"{json.dumps(name, ensure_ascii=False)}:")
            if isinstance(value, str) and value and line:
                yield Entry("script" if group == "scripts" else "dependency", group, name, value, line)


def _toml(text: str) -> Iterator[Entry]:
    if any(len(line) > MAX_LINE_CHARACTERS for line in text.split("\n")):
        return
    document = tomllib.loads(text)
    project = document.get("project", {})
    groups: dict[str, Any] = {"project.dependencies": project.get("dependencies", [])}
    for extra, listed in project.get("optional-dependencies", {}).items():
        groups[f"project.optional-dependencies.{extra}"] = listed
    for group, listed in groups.items():
        for requirement in listed if isinstance(listed, list) else ():
            found = _REQUIREMENT.match(str(requirement))
            line = _line(text, str(requirement))
            if found and line:
                yield Entry("dependency", group, found["name"], found["value"].strip(), line)
    for name, value in project.get("scripts", {}).items():
        line = _line(text, "[project.scripts]", f"{name}")
        if line:
            yield Entry("script", "project.scripts", name, str(value), line)
    for group in ("dependencies", "dev-dependencies"):  # Cargo
        for name, value in document.get(group, {}).items():
            line = _line(text, f"[{group}]", name)
            if isinstance(value, str) and line:
                yield Entry("dependency", group, name, value, line)


def _lines(text: str, pattern: re.Pattern[str], group: str) -> Iterator[Entry]:
    for number, line in enumerate(text.split("\n"), 1):
        if found := pattern.match(line):
            yield Entry("dependency", group, found["name"], found["value"].strip(), number)


def _line(text: str, *marks: str) -> int:
    """Line on which the last of the marks stands, each searched for after the one before; 0 if one is missing."""
    at = 0
    for mark in marks:
        at = text.find(mark, at)
        if at < 0:
            return 0
    return text.count("\n", 0, at) + 1
