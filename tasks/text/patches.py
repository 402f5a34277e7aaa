"""Patches read: names that a file's patch defines anew, takes away or renames, and values that it exchanges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tasks.text.languages import language_of
from tasks.text.paths import is_test

MIN_NAME: Final = 4
MAX_VALUE_CHARACTERS: Final = 60

_DEFINES: Final = re.compile(
    r"^(?:export\s+)?(?:default\s+)?(?:declare\s+)?(?:public\s+|internal\s+)?(?:abstract\s+|final\s+|sealed\s+|data\s+|static\s+)*"
    r"(?:async\s+)?(?:pub(?:\([^)]{0,20}\))?\s+)?"
    r"(?:def|class|function\*?|interface|type|enum|const|struct|trait|fn|func(?:\s+\([^)]{0,60}\))?|object|record)\s+"
    r"([A-Za-z_$][\w$]{3,80})"
)
"""A definition at the beginning of a line: what is indented belongs to something else."""

_LITERAL: Final = re.compile(
    r"""(?:"[^"\n]{1,60}"|'[^'\n]{1,60}'|\b\d[\d._]*\b|\btrue\b|\bfalse\b|\bTrue\b|\bFalse\b)"""
)
_KEY: Final = re.compile(r"""([A-Za-z_@$][\w$@/.-]{2,60}+)["']?\s*(?::(?![:=])|=(?!=))\s*[^=\s]""")


@dataclass(frozen=True)
class Patch:
    """One file of a pull request."""

    path: str
    status: str
    text: str

    @property
    def is_test(self) -> bool:
        """Whether the file is a test, a story or a fixture."""
        return is_test(self.path)

    @property
    def is_code(self) -> bool:
        """Whether what it defines is the repository's: no test, and no example on a page."""
        return not self.is_test and language_of(self.path) is not None

    @cached_property
    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        plus = _defined(line[1:] for line in self.text.split("\n") if line.startswith("+"))
        minus = _defined(line[1:] for line in self.text.split("\n") if line.startswith("-"))
        return tuple(one for one in plus if one not in minus), tuple(one for one in minus if one not in plus)

    @cached_property
    def within(self) -> tuple[frozenset[str], frozenset[str]]:
        """Names that added and that removed lines define inside of something else."""
        indented = [(line[:1], line[1:].strip()) for line in self.text.split("\n") if line[1:2].isspace()]
        plus, minus = (frozenset(_defined(line for sign, line in indented if sign == side)) for side in "+-")
        return plus, minus

    @property
    def added(self) -> tuple[str, ...]:
        """Names that only added lines define at top level, in order."""
        return self._names[0]

    @property
    def removed(self) -> tuple[str, ...]:
        """Names that only removed lines define at top level, in order."""
        return self._names[1]

    def line_of(self, name: str) -> str:
        """The first added line that has a name, stripped."""
        lines = (line[1:].strip() for line in self.text.split("\n") if line.startswith("+"))
        return next((line for line in lines if name in line), "")


def patches(files: Sequence[dict[str, Any]]) -> list[Patch]:
    """The files of a pull request that have a patch."""
    return [
        Patch(entry["path"], str(entry.get("status") or ""), entry["patch"])
        for entry in files
        if isinstance(entry.get("path"), str) and isinstance(entry.get("patch"), str)
    ]


def added_names(found: Sequence[Patch]) -> list[str]:
    """Names that the code of a pull request defines anew, tests left out; what only moves, between files or out of
    something else, is not new.
    """
    gone = {name for patch in found for name in (*patch.removed, *patch.within[1])}
    return list(dict.fromkeys(name for patch in found if patch.is_code for name in patch.added if name not in gone))


def removed_names(found: Sequence[Patch]) -> list[str]:
    """Names that the code of a pull request defines no more, tests left out, nor anything inside of it."""
    come = {name for patch in found for name in (*patch.added, *patch.within[0])}
    return list(dict.fromkeys(name for patch in found if patch.is_code for name in patch.removed if name not in come))


def runs(patch: Patch) -> Iterator[tuple[list[str], list[str]]]:
    """(removed lines, added lines) of every run of changed lines."""
    minus: list[str] = []
    plus: list[str] = []
    for line in [*patch.text.split("\n"), " "]:
        if line.startswith("-") and not plus:
            minus.append(line[1:])
        elif line.startswith("+"):
            plus.append(line[1:])
        else:
            if minus or plus:
                yield minus, plus
            minus, plus = ([line[1:]], []) if line.startswith("-") else ([], [])


def changed_values(patch: Patch) -> Iterator[tuple[str, str, str]]:
    """(name, old value, new value) of one-line changes that exchange one literal after a name."""
    seen: set[str] = set()
    for minus, plus in runs(patch):
        if len(minus) != len(plus) or len(minus) > 6:
            continue
        for old, new in zip(minus, plus, strict=True):
            found = _exchanged(old, new)
            if found is not None and found[0] not in seen:
                seen.add(found[0])
                yield found


def _exchanged(old: str, new: str) -> tuple[str, str, str] | None:
    before, after = list(_LITERAL.finditer(old)), list(_LITERAL.finditer(new))
    if _LITERAL.sub("\0", old) != _LITERAL.sub("\0", new) or len(before) != len(after):
        return None
    differing = [(one, two) for one, two in zip(before, after, strict=True) if one[0] != two[0]]
    if len(differing) != 1:
        return None
    one, two = differing[0]
    keys = [found for found in _KEY.finditer(old) if found.end() - 1 <= one.start() + 1]
    values = (one[0].strip("\"'"), two[0].strip("\"'"))
    if not keys or not all(values) or "`" in "".join(values):
        return None
    key = keys[-1]
    if old[key.end() - 1 : one.start()].strip(" \t([{") and not re.fullmatch(
        r"[\w.(\s]*", old[key.end() - 1 : one.start()]
    ):
        return None
    return key[1], *values


def renamed(patch: Patch) -> Iterator[tuple[str, str]]:
    """(old name, new name) where a definition's line differs in the name alone."""
    for minus, plus in runs(patch):
        gone = {name: line for line in minus for name in _defined([line]) if name in patch.removed}
        come = {name: line for line in plus for name in _defined([line]) if name in patch.added}
        for old, line in gone.items():
            same = [new for new, other in come.items() if other.replace(new, "\0", 1) == line.replace(old, "\0", 1)]
            if len(same) == 1:
                yield old, same[0]


def _defined(lines: Any) -> list[str]:
    found = [match[1] for line in lines if (match := _DEFINES.match(line))]
    return list(dict.fromkeys(name for name in found if len(name) >= MIN_NAME))
