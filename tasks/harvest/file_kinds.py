"""What kind of file a path and its text are: lock, test snapshot, generated, vendored, minified, data, or none.

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
    [
        ".terraform.lock.hcl",
        "bun.lock",
        "cabal.project.freeze",
        "Cargo.lock",
        "Cartfile.resolved",
        "composer.lock",
        "conan.lock",
        "deno.lock",
        "esy.lock",
        "flake.lock",
        "Gemfile.lock",
        "glide.lock",
        "go.sum",
        "Gopkg.lock",
        "gradle.lockfile",
        "mix.lock",
        "MODULE.bazel.lock",
        "npm-shrinkwrap.json",
        "package-lock.json",
        "Package.resolved",
        "packages.lock.json",
        "paket.lock",
        "pdm.lock",
        "Pipfile.lock",
        "pixi.lock",
        "pnpm-lock.yaml",
        "Podfile.lock",
        "poetry.lock",
        "pubspec.lock",
        "renv.lock",
        "uv.lock",
        "yarn.lock",
    ]
)

_RULES: Final = {
    FileKind.SNAPSHOT: {"snapshot of a test": r"(^|/)__snapshots__/|\.(snap|ambr)$"},
    FileKind.MINIFIED: {"named minified": r"[.-]min\.(js|mjs|cjs|css)$"},
    FileKind.VENDORED: {
        "installed packages": r"(^|/)(node_modules|bower_components|jspm_packages)/",
        "Yarn's own code": r"(^|/)(\.yarn/(releases|plugins|sdks|unplugged)/|\.pnp\.(c?js|loader\.mjs|data\.json)$)",
        "folder of others' code": r"(^|/)(vendors?|Pods|Carthage/Build|Godeps|(3rd|[Tt]hird)[-_]?[Pp]arty)/",
        "build tool wrapper": r"(^|/)(gradlew|mvnw)(\.bat|\.cmd)?$",
        "well-known library": r"(^|/)(jquery(-\d[\d.]*)?|bootstrap[^/.]*)\.(js|css)$",
    },
    FileKind.GENERATED: {
        "protocol buffers": r"_pb2(_grpc)?\.pyi?$|\.pb(\.gw|\.validate)?\.(go|cc|h|rb|swift)$|_pb\.(js|d\.ts)$",
        "source map": r"\.(js|mjs|cjs|css|ts)\.map$",
        "named generated": r"\.(g|freezed|[Dd]esigner|[Gg]enerated|gen)\.(dart|cs|ts|tsx|js|go|py|java|kt)$",
        "output of a tool": r"(^|/)(__generated__|\.mypy_cache|\.next|\.nuxt)/|\.(xcuserstate|pbxproj|nib|xib)$",
    },
    FileKind.DATA: {
        "vector image": r"\.svg$",
        "fixture": r"(^|/)([Ff]ixtures|testdata|cassettes)/.*\.(json|jsonl|xml|ya?ml|csv|tsv|html?|txt|har)$",
    },
}
_PATH_RULES: Final = tuple(
    (kind, by, re.compile(pattern)) for kind, rules in _RULES.items() for by, pattern in rules.items()
)
_ANY_RULE: Final = re.compile("|".join(pattern.pattern for _, _, pattern in _PATH_RULES))

_DATA: Final = re.compile(
    r"\.(json|jsonl|ndjson|geojson|xml|ya?ml|csv|tsv|plist|pot?|xlf|ipynb|har|sql|dump)$", re.IGNORECASE
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
    name = path.rsplit("/", 1)[-1]
    if name in LOCK_NAMES:
        return Finding(FileKind.LOCK, name)
    if not _ANY_RULE.search(path):
        return None
    for kind, by, pattern in _PATH_RULES:
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
