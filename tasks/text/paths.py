"""What a path alone gives away: lock file, test snapshot, minified, vendored, generated or data. Also path patterns.

A selection from GitHub's linguist (MIT; lib/linguist/generated.rb and lib/linguist/vendor.yml at 9.x): what in real
repositories is large and teaches nothing. In the diffs of guardian/manage-frontend's pull requests lock files alone
are 78% of the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

_LOCKS: Final = """
.terraform.lock.hcl bun.lock cabal.project.freeze Cargo.lock Cartfile.resolved composer.lock conan.lock deno.lock
esy.lock flake.lock Gemfile.lock glide.lock go.sum Gopkg.lock gradle.lockfile mix.lock MODULE.bazel.lock
npm-shrinkwrap.json package-lock.json Package.resolved packages.lock.json paket.lock pdm.lock Pipfile.lock pixi.lock
pnpm-lock.yaml Podfile.lock poetry.lock pubspec.lock renv.lock uv.lock yarn.lock
"""
LOCK_NAMES: Final = frozenset(_LOCKS.split())

_RULES: Final = {
    "test-snapshot": {"snapshot of a test": r"(^|/)__snapshots__/|\.(snap|ambr)$"},
    "minified": {"named minified": r"[.-]min\.(js|mjs|cjs|css)$"},
    "vendored": {
        "installed packages": r"(^|/)(node_modules|bower_components|jspm_packages)/",
        "Yarn's own code": r"(^|/)(\.yarn/(releases|plugins|sdks|unplugged)/|\.pnp\.(c?js|loader\.mjs|data\.json)$)",
        "folder of others' code": r"(^|/)(vendors?|Pods|Carthage/Build|Godeps|(3rd|[Tt]hird)[-_]?[Pp]arty)/",
        "build tool wrapper": r"(^|/)(gradlew|mvnw)(\.bat|\.cmd)?$",
        "well-known library": r"(^|/)(jquery(-\d[\d.]*)?|bootstrap[^/.]*)\.(js|css)$",
    },
    "generated": {
        "protocol buffers": r"_pb2(_grpc)?\.pyi?$|\.pb(\.gw|\.validate)?\.(go|cc|h|rb|swift)$|_pb\.(js|d\.ts)$",
        "source map": r"\.(js|mjs|cjs|css|ts)\.map$",
        "named generated": r"\.(g|freezed|[Dd]esigner|[Gg]enerated|gen)\.(dart|cs|ts|tsx|js|go|py|java|kt)$",
        "output of a tool": r"(^|/)(__generated__|\.mypy_cache|\.next|\.nuxt)/|\.(xcuserstate|pbxproj|nib|xib)$",
    },
    "data": {
        "vector image": r"\.svg$",
        "fixture": r"(^|/)([Ff]ixtures|testdata|cassettes)/.*\.(json|jsonl|xml|ya?ml|csv|tsv|html?|txt|har)$",
    },
}
_COMPILED: Final = tuple(
    (kind, by, re.compile(pattern)) for kind, rules in _RULES.items() for by, pattern in rules.items()
)
_ANY: Final = re.compile("|".join(pattern.pattern for _, _, pattern in _COMPILED))


class PathKind(NamedTuple):
    """A kind and what it was recognised by."""

    kind: str
    """`lock-file`, `test-snapshot`, `minified`, `vendored`, `generated` or `data`."""
    by: str


def kind_of_path(path: str) -> PathKind | None:
    """What the path alone gives away, or None for what people write."""
    name = path.rsplit("/", 1)[-1]
    if name in LOCK_NAMES:
        return PathKind("lock-file", name)
    if not _ANY.search(path):
        return None
    return next((PathKind(kind, by) for kind, by, pattern in _COMPILED if pattern.search(path)), None)


def generated_kind(path: str) -> str | None:
    """The same kind by name, but None for data too: in a diff it shows what a person changed."""
    found = kind_of_path(path)
    return found.kind if found and found.kind != "data" else None


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path matches one of some patterns: `*` within a folder, `**` across folders, `?` one character; a
    pattern without `/` matches base names.
    """
    name = path.rsplit("/", 1)[-1]
    return any(_compiled(pattern).fullmatch(path if "/" in pattern else name) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    translated = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(translated.get(piece, re.escape(piece)) for piece in pieces), re.DOTALL)
