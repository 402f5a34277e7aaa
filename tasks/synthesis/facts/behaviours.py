"""Facts of tests: what they demand of a subject, and what a single test asserts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from tasks.synthesis.facts.source import Source
from tasks.synthesis.facts.syntax import annotations_of, call_of, name_of, string_of
from tasks.text.facts import Fact, Shape
from tasks.text.references import written
from tasks.text.syntax_tree import nodes_of

MAX_ASSERTION: Final = 160
MAX_ASSERTIONS: Final = 8
MAX_TITLES: Final = 24

_FILE: Final = re.compile(
    r"(^|/)test_[^/]*\.py$|_test\.\w+$|[._-](test|spec|cy)\.\w+$|Tests?\.\w+$|_spec\.rb$|(^|/)tests?/"
)
_MARKED: Final = frozenset({"Test", "ParameterizedTest", "Fact", "Theory", "TestMethod", "test"})
_ASSERTING: Final = re.compile(
    r"^(self\.|this\.|\$this->|self::)?(assert\w*|Assert\.\w+|expect|require\.\w+|assert\.\w+)!?\s*[\s(]"
)


@dataclass
class Test:
    """One test case."""

    title: str
    described: tuple[str, ...]
    """Titles of the groups around it, outermost first."""
    first: int
    last: int
    assertions: list[tuple[str, int]] = field(default_factory=list)
    complete: bool = True
    """Whether every assertion was short enough to be told."""


def facts(source: Source) -> Iterator[Fact]:
    """Facts of a test file, in order of lines."""
    if not _FILE.search(source.path) or source.root is None:
        return
    cases = _cases(source)
    titles = [(case.described, case.title) for case in cases]
    for case in cases:
        if (
            not 0 < len(case.assertions) <= MAX_ASSERTIONS
            or titles.count((case.described, case.title)) > 1
            or not case.complete
        ):
            continue
        values = list(dict.fromkeys(text for text, _ in case.assertions))
        if all("Snapshot" in text for text in values):
            continue  # what it demands stands in another file
        yield source.fact(
            "test-checks",
            case.title,
            values,
            Shape.ALL,
            (case.first, case.last),
            scope=source.path,
            group=" › ".join(case.described),
            lines="\n".join(f"- `{text}`" for text in values),
        )
    groups: dict[str, list[Test]] = {}
    for case in cases:
        groups.setdefault(case.described[-1] if case.described else "", []).append(case)
    for group, found in groups.items():
        names = list(dict.fromkeys(case.title for case in found))
        telling = sum(len(re.findall(r"[^\W_]+", re.sub(r"^test_", "", name))) > 2 for name in names)
        if 1 < len(names) <= MAX_TITLES and telling >= 0.6 * len(names):
            subject = group or _subject(source.path)
            span = (min(case.first for case in found), max(case.last for case in found))
            yield source.fact(
                "behaviour",
                subject,
                names,
                Shape.ALL,
                span,
                scope=source.path,
                group=group,
                asked=f"“{subject}”" if " " in subject else f"`{subject}`",
                lines="\n".join(f"- {_sentence(name)}" for name in names),
            )


def _cases(source: Source) -> list[Test]:
    found: list[Test] = []
    for site in source.calls:
        if site.name in ("it", "test", "specify") and not site.receiver and site.arguments:
            title = string_of(site.arguments[0])
            has_body = len(site.arguments) > 1 or site.node.child_by_field_name("block") is not None
            if title and has_body:
                found.append(_case(" ".join(title.split()), site.node, _groups(site.node)))
    marked = {
        one.owner.start_byte
        for one in (
            annotations_of(source.path, source.root) if source.language in ("java", "kotlin", "csharp", "rust") else ()
        )
        if one.name in _MARKED and one.owner is not None
    }
    types = ("function_definition", "function_declaration", "method_declaration", "function_item", "method")
    for node in nodes_of(source.path, source.root, types):
        name = name_of(node)
        named = (
            re.match(r"test_|test[A-Z]|Test[A-Z_]", name)
            if source.language in ("python", "go", "php", "ruby")
            else None
        )
        if named or node.start_byte in marked:
            found.append(_case(name, node, ()))
    _assertions(source, found)
    return sorted(found, key=lambda case: (case.first, case.last))


def _case(title: str, node: Any, described: tuple[str, ...]) -> Test:
    return Test(title, described, node.start_point.row + 1, node.end_point.row + 1)


def _groups(node: Any) -> tuple[str, ...]:
    found: list[str] = []
    while (node := node.parent) is not None:
        site = call_of(node) if node.type in ("call_expression", "call") else None
        if site is None or site.name not in ("describe", "context") or not site.arguments:
            continue
        if title := string_of(site.arguments[0]) or written(site.arguments[0])[:80]:
            found.insert(0, " ".join(title.split()))
    return tuple(found)


def _assertions(source: Source, cases: list[Test]) -> None:
    types = ("expression_statement", "assert_statement", "macro_invocation", "call", "call_expression", "with_item")
    for node in nodes_of(source.path, source.root, types):
        if node.end_byte - node.start_byte > 2_000:
            continue
        text = written(node).removesuffix(";").removeprefix("await ")
        if (
            node.type in ("call", "call_expression")
            and node.parent is not None
            and node.parent.type
            in (
                "expression_statement",
                "call",
                "call_expression",
                "member_expression",
                "attribute",
                "await_expression",
                "await",
                "with_item",
                "argument_list",
                "arguments",
            )
        ):
            continue
        raised = text.startswith("pytest.raises(")
        if not raised and not _ASSERTING.match(text):
            continue
        text = text.removeprefix("assert ")  # “it asserts” says that
        line = node.start_point.row + 1
        inside = [case for case in cases if case.first <= line <= case.last]
        if not inside:
            continue
        case = min(inside, key=lambda one: one.last - one.first)
        if len(text) > MAX_ASSERTION or "`" in text:
            case.complete = False
        elif not any(text in known for known, _ in case.assertions):
            case.assertions.append((text, line))


def _subject(path: str) -> str:
    """What a test file is about, by its name: `auth` of `tests/test_auth.py`."""
    stem = PurePosixPath(path).name.split(".")[0]
    return re.sub(r"^test_|_test$|_spec$|Tests?$", "", stem) or stem


def _sentence(title: str) -> str:
    """A title as a person reads it: `test_digest_auth_with_200` → digest auth with 200."""
    return re.sub(r"^test_", "", title).replace("_", " ") if re.fullmatch(r"\w+", title) and "_" in title else title
