"""Environment variables: who reads one, and what stands in for it where it is not set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.synthesis.facts.source import Source, in_words
from tasks.synthesis.facts.uses import placed
from tasks.text.facts import Fact, Shape
from tasks.text.paths import is_test

_NAME: Final = r"([A-Z][A-Z0-9_]{2,60})"
_READ: Final = re.compile(
    rf"process\.env\.{_NAME}\b|process\.env\[\s*['\"]{_NAME}['\"]|import\.meta\.env\.{_NAME}\b"
    rf"|os\.environ\[\s*['\"]{_NAME}['\"]|os\.(?:environ\.get|getenv)\(\s*['\"]{_NAME}['\"]"
    rf"|System\.getenv\(\s*\"{_NAME}\"|os\.(?:Getenv|LookupEnv)\(\s*\"{_NAME}\""
    rf"|env::var(?:_os)?\(\s*\"{_NAME}\"|GetEnvironmentVariable\(\s*\"{_NAME}\"|\bgetenv\(\s*['\"]{_NAME}['\"]"
    rf"|\bENV\[\s*['\"]{_NAME}['\"]|\bENV\.fetch\(\s*['\"]{_NAME}['\"]|\$_ENV\[\s*['\"]{_NAME}['\"]"
)
_INSTEAD: Final = re.compile(
    r"['\"]?\s{0,2}[\])]?\s{0,8}(?:\|\||\?\?)\s{0,8}('[^'\n`]{1,80}'|\"[^\"\n`]{1,80}\"|\d{1,12}\b)"
    r"|['\"]\s{0,8},\s{0,8}('[^'\n`]{1,80}'|\"[^\"\n`]{1,80}\"|\d{1,12}\b)\s{0,8}\)"
)


@dataclass(frozen=True)
class Reading:
    """One place that reads a variable."""

    path: str
    inside: str
    line: int
    instead: str
    """Literal that stands in for it; empty if there is none."""


def readings(sources: Iterable[Source]) -> dict[str, list[Reading]]:
    """Readings of every variable, those of tests included, in order of path and line."""
    found: dict[str, list[Reading]] = {}
    for source in sources:
        text = source.document.text
        if not ("env" in text or "ENV" in text or "Env" in text):
            continue
        for match in _READ.finditer(text):
            name = next(filter(None, match.groups()))
            line = text.count("\n", 0, match.start()) + 1
            written = source.lines[line - 1]
            if re.match(r"[ \t]*(//|#|\*|/\*|--)", written):
                continue
            if re.match(
                r"['\"]?\s*(?:\]\s*)?=(?!=)",
                text[match.end() - 1 : match.end() + 8].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"),
            ):
                continue  # it is set here, not read
            if re.match(r"\s*=(?!=)", text[match.end() : match.end() + 8].lstrip("'\"]")):
                continue  # it is set here, not read
            after = _INSTEAD.match(text, match.end() - (1 if text[match.end() - 1] in "'\"" else 0))
            item = source.inside(line)
            instead = (after[1] or after[2] or "") if after else ""
            found.setdefault(name, []).append(Reading(source.path, item.qualified if item else "", line, instead))
    return {name: sorted(found[name], key=lambda one: (one.path, one.line)) for name in sorted(found)}


def facts(source: Source, known: dict[str, list[Reading]]) -> Iterator[Fact]:
    """Facts of the variables that a file is the first to read."""
    for name, every in known.items():
        found = [one for one in every if not is_test(one.path)]
        if not found or found[0].path != source.path or not all(source.here(one.path) for one in found):
            continue
        span = (found[0].line, found[0].line)
        names = list(dict.fromkeys((one.inside or one.path, one.path) for one in found))
        words: dict[str, Any] = {"placed": placed(names), "readers": in_words([one for one, _ in names])}
        words["readers_many"] = str(len(names))
        words["tests"] = "yes" if len(found) < len(every) else ""
        paths = list(dict.fromkeys(one.path for one in found))
        if len(paths) <= 8:
            yield source.fact("environment", name, paths, Shape.ALL, span, rests_on=paths, **words)
        instead = {one.instead for one in found}
        if len(instead) == 1 and (value := instead.pop()):
            yield source.fact(
                "environment-default", name, [value.strip("'\"")], Shape.ONE, span, rests_on=paths, **words
            )
