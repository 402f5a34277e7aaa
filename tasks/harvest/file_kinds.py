"""What kind of file a path and its text are: lock, test snapshot, generated, vendored, minified, data, or none of these.

The tables are a selection from GitHub's linguist (MIT; lib/linguist/generated.rb and lib/linguist/vendor.yml at 9.x):
what in real repositories is large and teaches nothing. Each rule looks only at the extensions it is meant for, so a
changelog with long lines stays.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tasks.harvest.params import FileKind


class Finding(NamedTuple):
    """A kind and what it was recognised by."""

    kind: FileKind
    by: str


LOCK_NAMES: Final = frozenset(
    [".terraform.lock.hcl", "bun.lock", "cabal.project.freeze", "Cargo.lock", "Cartfile.resolved", "composer.lock", "conan.lock", "deno.lock", "esy.lock", "flake.lock", "Gemfile.lock", "glide.lock", "go.sum", "Gopkg.lock", "gradle.lockfile", "mix.lock", "MODULE.bazel.lock", "npm-shrinkwrap.json", "package-lock.json", "Package.resolved", "packages.lock.json", "paket.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "pnpm-lock.yaml", "Podfile.lock", "poetry.lock", "pubspec.lock", "renv.lock", "uv.lock", "yarn.lock"]
)

_PATH_RULES: Final = tuple(
    (kind, re.compile(pattern), by)
    for kind, pattern, by in (
        (FileKind.SNAPSHOT, r"(^|/)__snapshots__/|\.(snap|ambr)$", "snapshot of a test"),
        (FileKind.MINIFIED, r"[.-]min\.(js|mjs|cjs|css)$", "named minified"),
        (FileKind.VENDORED, r"(^|/)(node_modules|bower_components|jspm_packages)/", "installed packages"),
        (FileKind.VENDORED, r"(^|/)\.yarn/(releases|plugins|sdks|versions|unplugged)/", "Yarn's own code"),
        (FileKind.VENDORED, r"(^|/)\.pnp\.(c?js|loader\.mjs|data\.json)$", "Yarn's own code"),
        (FileKind.VENDORED, r"(^|/)(vendors?|Pods|Carthage/Build|Godeps)/", "folder of others' code"),
        (FileKind.VENDORED, r"(^|/)(3rd|[Tt]hird)[-_]?[Pp]arty/", "folder of others' code"),
        (FileKind.VENDORED, r"(^|/)[Ff]ixtures/", "fixtures"),
        (FileKind.VENDORED, r"(^|/)(gradlew|mvnw)(\.bat|\.cmd)?$", "build tool wrapper"),
        (
            FileKind.VENDORED,
            r"(^|/)jquery([^/.]*|-\d[\d.]*)\.js$|(^|/)bootstrap([^/.]*)\.(js|css)$",
            "well-known library",
        ),
        (
            FileKind.GENERATED,
            r"_pb2(_grpc)?\.pyi?$|\.pb(\.gw|\.validate)?\.(go|cc|h|rb|swift)$|_pb\.(js|d\.ts)$",
            "protocol buffers",
        ),
        (FileKind.GENERATED, r"\.(js|mjs|cjs|css|ts)\.map$", "source map"),
        (
            FileKind.GENERATED,
            r"\.(g|freezed|designer|Designer|generated|Generated|gen)\.(dart|cs|ts|tsx|js|go|py|java|kt)$",
            "named generated",
        ),
        (
            FileKind.GENERATED,
            r"(^|/)(__generated__|\.mypy_cache|\.next|\.nuxt)/|\.(xcuserstate|pbxproj|nib|xib)$",
            "output of a tool",
        ),
        (FileKind.DATA, r"\.svg$", "vector image"),
    )
)

_DATA: Final = re.compile(
    r"\.(json|jsonl|ndjson|geojson|xml|ya?ml|csv|tsv|plist|pot?|xlf|ipynb|har|sql|dump)$", re.IGNORECASE
)
_SCRIPT: Final = re.compile(r"\.(js|mjs|cjs|css)$", re.IGNORECASE)
_PROSE: Final = re.compile(r"\.(md|markdown|mdx|rst|txt|adoc|asciidoc|org|tex|html?)$|(^|/)[A-Z]+$", re.IGNORECASE)
_MARKER: Final = re.compile(
    r"(?<![\w.])@generated\b"
    r"|(?i:code generated\b[^\n]*\bdo not (edit|modify))"
    r"|(?i:\bauto-?generated\b|\bgenerated (by|from|using|automatically)\b)[^\n]*(\n[^\n]*){0,2}(?i:\bdo not (edit|modify|change))"
    r"|(?i:\bdo not (edit|modify|change)\b)[^\n]*(\n[^\n]*){0,2}(?i:\bauto-?generated\b|\bgenerated (by|from|using|automatically)\b)"
)
_VECTOR_PATH: Final = re.compile(r"\bd=[\"'{`]+[MmLlHhVvCcSsQqTtAaZz0-9\s.,eE+-]+")

HEAD_LINES: Final = 10
"""A generator's mark must stand this near the top: further down it is prose about generated files."""

MINIFIED_LINE_CHARACTERS: Final = 110
"""Script and style files whose lines are longer on average are minified (linguist's `minified_files?`)."""

VECTOR_FRACTION: Final = 0.4
"""A source file with more of its characters in vector paths is an icon (22 such files hold 60,562 tokens in manage-frontend)."""


def path_kind(path: str) -> Finding | None:
    """What the path alone gives away."""
    name = path.rsplit("/", 1)[-1]
    if name in LOCK_NAMES:
        return Finding(FileKind.LOCK, name)
    for kind, pattern, by in _PATH_RULES:
        if pattern.search(path):
            return Finding(kind, by)
    return None


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
    vector = sum(len(found) for found in _VECTOR_PATH.findall(text)) if 'd="' in text or "d={" in text else 0
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
