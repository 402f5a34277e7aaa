"""What kind of file a path and its text are: lock, test snapshot, generated, vendored, minified, data, or none.

The rules for paths are `tasks/text/paths.py`'s. Each rule for texts looks only at the extensions it is meant for, so a
changelog with long lines stays.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tasks.harvest.params import FileKind
from tasks.text.paths import kind_of_path


class Finding(NamedTuple):
    """A kind and what it was recognised by."""

    kind: FileKind
    by: str


_DATA: Final = re.compile(
    r"\.(json|jsonl|ndjson|geojson|xml|ya?ml|csv|tsv|plist|pot?|xlf|har|sql|dump)$", re.IGNORECASE
)
_SCRIPT: Final = re.compile(r"\.(js|mjs|cjs|css)$", re.IGNORECASE)
_COMPONENT: Final = re.compile(r"\.([jt]sx?|mjs|vue|svelte|kt|xaml)$", re.IGNORECASE)
_PROSE: Final = re.compile(r"\.(md|markdown|mdx|rst|txt|adoc|asciidoc|org|tex|html?)$|(^|/)[A-Z]+$", re.IGNORECASE)
_SAYS_GENERATED: Final = r"(?i:\bauto-?generated\b|\bcode generated\b|\bgenerated (by|from|using|automatically)\b)"
_SAYS_HANDS_OFF: Final = r"(?i:\bdo not (edit|modify|change)\b)"
_NEAR: Final = r"[^\n]*(\n[^\n]*){0,2}"
_MARKER: Final = re.compile(
    rf"(?<![\w.])@generated\b|{_SAYS_GENERATED}{_NEAR}{_SAYS_HANDS_OFF}|{_SAYS_HANDS_OFF}{_NEAR}{_SAYS_GENERATED}"
)
_VECTOR_PATH: Final = re.compile(r"\bd=[\"'{`]+[MmLlHhVvCcSsQqTtAaZz0-9\s.,eE+-]+")

HEAD_LINES: Final = 10
"""A generator's mark must stand this near the top: further down it is prose about generated files."""

MINIFIED_LINE_CHARACTERS: Final = 110
"""Script and style files whose lines are longer on average are minified (linguist's `minified_files?`)."""

VECTOR_FRACTION: Final = 0.4
"""A source file with more of its characters in vector paths is an icon (22 in manage-frontend, 60,562 tokens)."""


def path_kind(path: str) -> Finding | None:
    """What the path alone gives away."""
    found = kind_of_path(path)
    return Finding(FileKind(found.kind), found.by) if found else None


def content_kind(path: str, text: str, size: int, max_data_bytes: int) -> Finding | None:
    """What the text gives away; prose is never judged by its content."""
    if _PROSE.search(path):
        return None
    if _DATA.search(path) and size > max_data_bytes:
        return Finding(FileKind.DATA, f"{size} bytes of data")
    head = "\n".join(text[:4_000].split("\n", HEAD_LINES)[:HEAD_LINES])
    if marker := _MARKER.search(head):
        return Finding(FileKind.GENERATED, " ".join(marker.group().split())[:80])
    if _SCRIPT.search(path):
        lines = text.count("\n") + 1
        if len(text) / lines > MINIFIED_LINE_CHARACTERS:
            return Finding(FileKind.MINIFIED, f"{len(text) // lines} characters a line")
    if _COMPONENT.search(path):
        vector = sum(len(found) for found in _VECTOR_PATH.findall(text))
        if vector > VECTOR_FRACTION * len(text):
            return Finding(FileKind.DATA, "vector paths")
    return None


def attribute_kinds(values: dict[str, str]) -> dict[FileKind, bool]:
    """What `.gitattributes` say of a file: whether it is generated or vendored, where they say anything."""
    stated = {}
    for kind in (FileKind.GENERATED, FileKind.VENDORED):
        value = values.get(f"linguist-{kind.value}", "unspecified")
        if value != "unspecified":
            stated[kind] = value not in ("unset", "false")
    return stated
