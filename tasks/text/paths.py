"""What a path alone gives away: lock file, test snapshot, minified, vendored, generated, data, licence or test. Also
path patterns.

A selection from GitHub's linguist (MIT; lib/linguist/generated.rb and lib/linguist/vendor.yml at 9.x): what in real
repositories is large and teaches nothing. In the diffs of guardian/manage-frontend's pull requests lock files alone
are 78% of the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from pathspec import GitIgnoreSpec

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
        "build tool wrapper": r"(^|/)((gradlew|mvnw)(\.bat|\.cmd)?|erlang\.mk|rebar3?|waf)$",
        "autotools": r"(^|/)(config\.(guess|sub)|ltmain\.sh|install-sh|depcomp|ylwrap|test-driver|mkinstalldirs"
        r"|(libtool|ltoptions|ltsugar|ltversion|lt~obsolete)\.m4)$",
        "well-known library": r"(^|/)(jquery(-\d[\d.]*)?|bootstrap[^/.]*)\.(js|css)$",
    },
    "generated": {
        "protocol buffers": r"_pb2(_grpc)?\.pyi?$|\.pb(\.gw|\.validate)?\.(go|cc|h|rb|swift)$|_pb\.(js|d\.ts)$",
        "source map": r"\.(js|mjs|cjs|css|ts)\.map$",
        "named generated": r"\.(g|freezed|[Dd]esigner|[Gg]enerated|gen)\.(dart|cs|ts|tsx|js|go|py|java|kt)$",
        "reverse dependency checks": r"(^|/)revdep/(README|cran|failures|problems)\.md$",
        "output of a tool": r"(^|/)(__generated__|\.mypy_cache|\.next|\.nuxt)/"
        r"|\.(xcuserstate|pbxproj|nib|xib|dproj|cbproj)$",
    },
    "data": {
        "vector image": r"\.svg$",
        "font": r"\.(bdf|afm|pfa|pfb|fnt|glif|sfd|ttx|typeface\.json)$",
        "fixture": r"(^|/)((__)?[Ff]ixtures(__)?|test-?_?data|cassettes|__mocks__|\w{1,80}_SUITE_data)/"
        r".{0,200}\.(json|jsonl|ndjson|xml|ya?ml|csv|tsv|html?|txt|har|sql)$",
    },
    "licence": {
        "licence": r"(^|/)(?i:(un)?licen[cs]es?|copying|copyright)([.-](?i:txt|md|rst|html?|adoc|rtf|markdown))?$"
        r"|(^|/)(?i:licen[cs]e|copying)[._-](?i:mit|apache|bsd|a?gpl|lgpl|mpl|isc|cc|ofl|boost|zlib|0bsd)[\w.-]*$"
        r"|(^|/)LICEN[CS]ES/|(^|/)(?i:(third[-_]?party[-_]?)?notices?)(\.(?i:txt|md|html?))?$"
        r"|(^|/)(?i:ofl|[al]?gpl[\d.v-]*|apache[-_]2(\.0)?|mpl[-_]2(\.0)?)\.(?i:txt|md)$",
    },
}
_FIXTURE: Final = re.compile(
    r"(^|/)((__)?[Ff]ixtures?(__)?|__mocks__|test-?_?data)/|(^|/)[\w.-]*([Ff]ixture|[Mm]ock([_-]?[Dd]ata)?)s?\.\w{1,4}$"
)
_COMPILED: Final = tuple(
    (kind, by, re.compile(pattern)) for kind, rules in _RULES.items() for by, pattern in rules.items()
)
_ANY: Final = re.compile("|".join(pattern.pattern for _, _, pattern in _COMPILED))


_TEST: Final = re.compile(
    r"(^|/)(tests?|__tests__|__mocks__|spec|cypress|e2e|fixtures|testdata|stories|mocks)/"
    r"|[._-](test|tests|spec|stories|cy|fixture)\.\w+$|(^|/)(test_[^/]*|conftest)\.py$|_test\.(go|py|rb)$|Tests?\.(java|kt|cs|php)$"
)


class PathKind(NamedTuple):
    """A kind and what it was recognised by."""

    kind: str
    """`lock-file`, `test-snapshot`, `minified`, `vendored`, `generated`, `data` or `licence`."""
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
    """The same kind by name, but None for data and licences too: in a diff they show what a person changed."""
    found = kind_of_path(path)
    return found.kind if found and found.kind not in ("data", "licence") else None


def is_fixture(path: str) -> bool:
    """Whether a file lies where fixtures lie, or is named like one, in whatever language."""
    return _FIXTURE.search(path) is not None


def is_test(path: str) -> bool:
    """Whether a file is a test, a story or a fixture by its path."""
    return _TEST.search(path) is not None


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path matches one of some patterns, which are those of `.gitignore`; but `[` stands for itself, since
    routes are named `[id].tsx`.
    """
    return _compiled(tuple(patterns)).match_file(path)


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(pattern.replace("[", r"\[") for pattern in patterns)
