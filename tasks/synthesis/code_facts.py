"""Facts of a code file: where things are defined, how they are declared, what they import and call; and of a manifest.

Everything comes from the syntax tree; nothing is inferred.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from tasks.base.records import Kind
from tasks.synthesis import code_wordings as wordings
from tasks.synthesis.banked import Fact
from tasks.synthesis.drafts import LONG_ANSWER_CHARACTERS, fence
from tasks.synthesis.index import Structure, structure
from tasks.synthesis.manifests import entries
from tasks.synthesis.methods import Subject
from tasks.text.imports import Import
from tasks.text.languages import language_of
from tasks.text.signatures import parameters
from tasks.text.structure import Definition

CALLABLE: Final = frozenset({"function", "method", "class"})

MIN_NAME: Final = 4
"""Shorter names (`x`, `id`, `app`) are asked for nowhere: the question would not be about anything in particular."""

PRAGMAS: Final = (
    "eslint",
    "@ts-",
    "prettier",
    "istanbul",
    "noqa",
    "type:",
    "pylint",
    "nolint",
    "tslint",
    "biome",
    "/ <",
)

MAX_LISTED: Final = 60
"""Longer lists are not worth learning by heart."""


def facts(subject: Subject, limit: int) -> Iterator[Fact]:
    """Facts of a code file, in order of lines; none for a file without a syntax tree."""
    document = subject.document
    if document.kind is not Kind.FILE:
        return
    tree = structure(document.path, document.text)
    lines = document.text.split("\n")
    top = [item for item in tree.definitions if "." not in item.qualified and item.name]
    names = list(dict.fromkeys(item.name for item in top))
    if 1 < len(names) <= MAX_LISTED:
        listing = ", ".join(f"`{name}`" for name in names)
        if len(listing) <= limit:
            span = (top[0].first_line, max(item.last_line for item in top))
            yield Fact(wordings.DEFINES, ("{listing}",), span, tuple(names), {"listing": listing})
    for imported in tree.imports:
        yield from _imported(imported, lines)
    times = Counter(item.qualified for item in tree.definitions)
    called = _called(subject, tree)
    for item in tree.definitions:
        if len(item.name) >= MIN_NAME and times[item.qualified] == 1 and not re.search(r"[\s,]", item.qualified):
            yield from _defined(subject, item, lines, called.get(item.qualified, []), limit)


def _defined(subject: Subject, item: Definition, lines: list[str], called: list[str], limit: int) -> Iterator[Fact]:
    """Where, how declared, how documented, what called: of one definition that a question can name."""
    span = (item.first_line, item.last_line)
    words = {"name": item.qualified, "kind": item.kind, "first": str(span[0]), "last": str(span[1])}
    repo, code = subject.document.repo, "\n".join(lines[span[0] - 1 : span[1]])
    if "." not in item.qualified and subject.index.is_unique(repo, item.name):
        yield from _by_name(subject, item, span, words, limit)
    if tells(item):
        answer = {"signature": item.signature}
        yield Fact(wordings.SIGNATURE, ("`{signature}`",), span, tuple(item.signature.split()), words | answer)
    if len(code) <= min(limit, LONG_ANSWER_CHARACTERS) and item.name in code:
        mark = fence(code)
        yield Fact(wordings.CODE, ("{code}",), span, (code,), words | {"code": f"{mark}\n{code}\n{mark}"})
    paragraph = spoken(item.docstring)
    if len(paragraph.split()) >= 3 and len(paragraph) <= limit:
        said = tuple(line.strip() for line in paragraph.split("\n") if line.strip())
        whole = (min(item.outer_line, item.first_line), item.last_line)
        yield Fact(wordings.DOCUMENTED, ("{text}",), whole, said, words | {"text": paragraph})
    if 0 < len(called) <= MAX_LISTED:
        listing = ", ".join(f"`{name}`" for name in called)
        yield Fact(wordings.CALLS, ("{listing}",), span, (item.name, *called), words | {"listing": listing})


def _by_name(
    subject: Subject, item: Definition, span: tuple[int, int], words: dict[str, str], limit: int
) -> Iterator[Fact]:
    """What can be asked of a definition whose name is enough to find it."""
    yield Fact(wordings.WHERE, wordings.WHERE_ANSWER, span, (item.name,), words, by_name=True)
    names = parameters(item.signature, item.name, language_of(subject.document.path) or "")
    if item.kind in ("function", "method") and names:
        listing = ", ".join(f"`{name}`" for name in names)
        said = words | {"listing": listing, "number": str(len(names))}
        yield Fact(wordings.PARAMETERS, wordings.PARAMETERS_ANSWER, span, (item.name, *names), said, by_name=True)
    paragraph = " ".join(spoken(item.docstring).split())
    if len(paragraph.split()) >= 3 and len(paragraph) <= min(limit, LONG_ANSWER_CHARACTERS):
        said_by = tuple(line.strip() for line in spoken(item.docstring).split("\n") if line.strip())
        whole = (min(item.outer_line, item.first_line), item.last_line)
        yield Fact(wordings.PURPOSE, ("{text}",), whole, said_by, words | {"text": paragraph}, by_name=True)


def tells(item: Definition) -> bool:
    """Whether a signature says more than kind and name: parameters, or what a class extends."""
    head, _, rest = item.signature.partition(item.name)
    return item.kind in CALLABLE and head != item.signature and bool(rest.strip())


def spoken(docstring: str) -> str:
    """The first paragraph of a documentation comment; empty for orders to a linter or compiler."""
    paragraph = docstring.split("\n\n")[0].strip()
    return "" if paragraph.lower().startswith(PRAGMAS) else paragraph


def _called(subject: Subject, tree: Structure) -> dict[str, list[str]]:
    """By definition, the repository's own definitions that are called inside it by their bare name, in order."""
    found: dict[str, dict[str, None]] = {}
    for call in tree.calls:
        own = call.inside.rsplit(".", 1)[-1]
        if call.target == call.name != own and subject.index.is_defined(subject.document.repo, call.name):
            found.setdefault(call.inside, {})[call.name] = None
    return {inside: list(names) for inside, names in found.items()}


def _imported(item: Import, lines: list[str]) -> Iterator[Fact]:
    span = import_span(item, lines)
    names = [name for name in dict.fromkeys(item.names) if name]
    if span is None or not names or len(names) > MAX_LISTED:
        return
    words = {"module": item.module, "line": str(span[0]), "listing": ", ".join(f"`{name}`" for name in names)}
    yield Fact(wordings.IMPORTS, ("{listing}",), span, (item.module, *names), words)
    for name in names:
        if len(name) >= MIN_NAME:
            single = words | {"name": name}
            yield Fact(wordings.IMPORTED_FROM, wordings.IMPORTED_FROM_ANSWER, span, (name, item.module), single)


def import_span(item: Import, lines: list[str]) -> tuple[int, int] | None:
    """Lines from the import's first to the one that has both its module and the last of its names; None beyond 100."""
    missing = {item.module, *item.names}
    for number in range(item.line, min(len(lines), item.line + 100) + 1):
        missing = {word for word in missing if word not in "\n".join(lines[item.line - 1 : number])}
        if not missing:
            return (item.line, number)
    return None


def manifest_facts(subject: Subject) -> Iterator[Fact]:
    """Dependencies and scripts of a package manifest."""
    document = subject.document
    found = entries(document.path, document.text) if document.kind is Kind.FILE else []
    commands = [entry.value for entry in found if entry.kind == "script"]
    for entry in found:
        words = {"name": entry.name, "value": entry.value, "group": entry.group}
        span, evidence = (entry.line, entry.line), (entry.name,)
        if entry.kind == "dependency":
            yield Fact(wordings.VERSION, wordings.VERSION_ANSWER, span, evidence, words)
            continue
        yield Fact(wordings.SCRIPT, ("`{value}`",), span, evidence, words)
        if commands.count(entry.value) == 1:
            yield Fact(wordings.SCRIPT_OF, ("`{name}`",), span, evidence, words)
