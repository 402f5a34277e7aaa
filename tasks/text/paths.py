"""What a path alone gives away: lock file, test snapshot, minified, vendored or generated. Also path patterns.

A selection from GitHub's linguist (MIT; lib/linguist/generated.rb and lib/linguist/vendor.yml at 9.x): what in real
repositories is large and teaches nothing. In the diffs of guardian/manage-frontend's pull requests lock files alone
are 78% of the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_LOCKS: Final = """
.terraform.lock.hcl bun.lock cabal.project.freeze Cargo.lock Cartfile.resolved composer.lock conan.lock deno.lock
esy.lock flake.lock Gemfile.lock glide.lock go.sum Gopkg.lock gradle.lockfile mix.lock MODULE.bazel.lock
npm-shrinkwrap.json package-lock.json Package.resolved packages.lock.json paket.lock pdm.lock Pipfile.lock pixi.lock
pnpm-lock.yaml Podfile.lock poetry.lock pubspec.lock renv.lock uv.lock yarn.lock
"""
LOCK_NAMES: Final = frozenset(_LOCKS.split())

_RULES: Final = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        ("test-snapshot", r"(^|/)__snapshots__/|\.(snap|ambr)$"),
        ("minified", r"[.-]min\.(js|mjs|cjs|css)$"),
        ("vendored", r"(^|/)(node_modules|bower_components|jspm_packages|vendors?|Pods|Carthage/Build|Godeps)/"),
        ("vendored", r"(^|/)\.yarn/(releases|plugins|sdks|versions|unplugged)/|(^|/)\.pnp\."),
        ("vendored", r"(^|/)(3rd|[Tt]hird)[-_]?[Pp]arty/|(^|/)(gradlew|mvnw)(\.bat|\.cmd)?$"),
        ("generated", r"_pb2(_grpc)?\.pyi?$|\.pb(\.gw|\.validate)?\.(go|cc|h|rb|swift)$|_pb\.(js|d\.ts)$"),
        ("generated", r"\.(js|mjs|cjs|css|ts)\.map$|(^|/)(__generated__|\.mypy_cache|\.next|\.nuxt)/"),
        ("generated", r"\.(g|freezed|designer|Designer|generated|Generated|gen)\.(dart|cs|ts|tsx|js|go|py|java|kt)$"),
    )
)


def generated_kind(path: str) -> str | None:
    """`lock-file`, `test-snapshot`, `minified`, `vendored` or `generated`, or None for what people write."""
    if path.rsplit("/", 1)[-1] in LOCK_NAMES:
        return "lock-file"
    return next((reason for reason, pattern in _RULES if pattern.search(path)), None)


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
