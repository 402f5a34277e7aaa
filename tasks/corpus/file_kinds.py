"""What kind of file a path and its text are: lock file, test snapshot, generated, vendored, minified, data, licence.

The rules for paths are `tasks/text/paths.py`'s; what `.gitattributes` state goes before both. Each rule for texts looks
only at the files it is meant for, and a generator's mark must be the line's own statement: prose and programs that
mention such words stay.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tasks.base.records import Document
from tasks.corpus.params import FileKind, FilterParams
from tasks.text.paths import is_fixture, kind_of_path


class Finding(NamedTuple):
    """A kind and what it was recognised by."""

    kind: FileKind
    by: str


_DATA: Final = re.compile(
    r"\.(json|jsonl|ndjson|geojson|xml|ya?ml|csv|tsv|plist|pot?|xlf|har|sql|dump)$", re.IGNORECASE
)
_JSON: Final = re.compile(r"\.(json|ndjson)$", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"\.(js|mjs|cjs|css)$", re.IGNORECASE)
_COMPONENT: Final = re.compile(r"\.([jt]sx?|mjs|vue|svelte|kt|xaml)$", re.IGNORECASE)
_PROSE: Final = re.compile(
    r"\.(md|markdown|mdown|mdx|rst|txt|adoc|asciidoc|org|tex|html?|ipynb|textile|pod|rdoc)$|(^|/)(?-i:[A-Z]+)$",
    re.IGNORECASE,
)

_COMMENT: Final = r"^[ \t]*(?:(?://|/\*|\*|#|--|;|%|<!--|\"\"\"|'''|\(\*|\{-|!|dnl\b|rem\b|@rem\b)[ \t/*#;%!-]*)"
_WARNS: Final = r"(?:(?:warning|note|notice|attention|caution|important)[ \t:!-]*)?"
_GENERATED: Final = r"(?:auto(?:matically)?[ -]?)?generated\b"
_HANDS_OFF: Final = r"(?:please )?do not (?:edit|modify|change|touch)\b"
_BEGINS_GENERATED: Final = re.compile(
    _COMMENT
    + _WARNS
    + r"(?:(?:this|the|these|all) )?(?:(?:file|files|code|source|source code|module|script|header|class"
    r"|package|content|contents|configuration|document|it) )?(?:(?:is|was|are|were|has been|have been) )?(?:an? )?"
    + _GENERATED,
    re.IGNORECASE,
)
_BEGINS_HANDS_OFF: Final = re.compile(_COMMENT + _WARNS + _HANDS_OFF, re.IGNORECASE)
_SAYS_GENERATED: Final = re.compile(r"(?<![\"'`\u201c\w])" + _GENERATED, re.IGNORECASE)
_SAYS_HANDS_OFF: Final = re.compile(
    r"(?<![\"'`\u201c\w])(?:" + _HANDS_OFF + r"|edit [\w./-]{1,80} instead\b)", re.IGNORECASE
)
_ONLY_HANDS_OFF: Final = re.compile(
    _COMMENT + r"(?:please[ \t]+)?do not (?:edit|modify|change)(?: (?:this|the) (?:generated )?file)?"
    r"(?: (?:by hand|manually|directly|yourself))?[ \t.!*/#>-]*$",
    re.IGNORECASE,
)
_MARK: Final = re.compile(
    _COMMENT + r"(?:@generated\b|<auto-?generated ?/?>|Doxyfile [\d.]+[ \t]*$|A Bison parser, made by"
    r"|(?:[\w./-]{1,80} )?generated (?:automatically )?by (?:GNU Autoconf|autoheader|automake|aclocal|flex|SWIG)\b)",
    re.IGNORECASE,
)
"""Marks of tools that add no word on hands; a Doxyfile is a form of doxygen's with a few lines filled in."""
NEAR_LINES: Final = 2
"""A head may say that it is generated and, so many lines on, that it is not to be edited."""
HEAD_LINES: Final = 15
"""A generator's mark must stand this near the top: further down it is prose about generated files."""

_VECTOR_PATH: Final = re.compile(r"\bd=[\"'{`]+[MmLlHhVvCcSsQqTtAaZz0-9\s.,eE+-]+")
_BASE64: Final = re.compile(
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{200,}={0,2}|^[ \t]*[\"']?[A-Za-z0-9+/]{60,76}={0,2}[\"']?[ \t]*$", re.MULTILINE
)
_BASE64_RUN: Final = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{200,}={0,2}")
"""Longer than any hash or token."""
_ARMOR: Final = re.compile(
    r"(?<=-----BEGIN )(PGP PUBLIC KEY BLOCK|PGP SIGNATURE|PUBLIC KEY|(?:[A-Z0-9]{2,8} )?CERTIFICATE(?: REQUEST)?)-----"
    r"\r?\n(?:[\w-]{1,40}: [^\n]{0,200}\n)*([A-Za-z0-9+/=\s]{60,}?)(?=-----END \1-----)"
)
"""Public keys, signatures and certificates; private keys are the redaction's."""
_NUMBER: Final = re.compile(
    r"(?<!\w)(?:0x[0-9a-fA-F]{1,16}|[0-9a-fA-F]{8,64}|-?\d{1,20}(?:\.\d{1,20})?(?:e[+-]?\d{1,4})?)\b[ \t]{0,8}[,;\s]"
)
_LITERAL_LINE: Final = re.compile(
    r"(?:[\"'\w$.-]{1,80}[ \t]?[:=]>?[ \t]?)?"
    r"(?:[\[{(]{1,4}|\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`|-?[\d._]{1,40}|true|false|null|none|nil|undefined)?"
    r"[ \t]?[\]})]{0,4}[,;]?",
    re.IGNORECASE,
)
_DASHBOARDS: Final = (
    ("Grafana", ('"panels":', '"gridPos":')),
    ("Grafana", ('"panels":', '"schemaVersion":')),
    ("Kibana", ('"panelsJSON":',)),
    ("Kibana", ('"visState":',)),
    ("CloudWatch", ('"widgets":', '"metrics":', '"region":')),
    ("Datadog", ('"widgets":', '"layout_type":')),
)
"""Keys that a dashboard's export has."""

MINIFIED_LINE_CHARACTERS: Final = 110
"""Script and style files whose lines are longer on average are minified (linguist's `minified_files?`)."""
VECTOR_FRACTION: Final = 0.4
"""A source file with more of its characters in vector paths is an icon (22 in manage-frontend, 60,562 tokens)."""
BASE64_FRACTION: Final = 0.6
"""A file with more of it is data; of another the runs are cut out."""
NUMBERS_FRACTION: Final = 0.7
MIN_NUMBERS_CHARACTERS: Final = 4_000
"""A shorter table of numbers may be a program's own."""
TABBED_FRACTION: Final = 0.9
"""A long text is a table if so many of its lines have columns between tabs."""
LITERAL_FRACTION: Final = 0.75
MAX_LITERAL: Final = 2_000
"""Characters of a line that is looked at."""
MIN_LITERAL_LINES: Final = 15
"""A fixture in a programming language is data if so many of its lines, and at least these, are literals."""


def kind_of_file(document: Document, params: FilterParams) -> Finding | None:
    """The kind by which the parameters leave a file out, or None.

    Args:
        document: of kind `file`; `meta["linguist"]` has what `.gitattributes` state.
        params: which kinds, and how large data may be.
    """
    if not params.drop:
        return None
    stated = {FileKind(name): is_so for name, is_so in document.meta.get("linguist", {}).items()}
    for kind, is_so in stated.items():
        if is_so and kind in params.drop:
            return Finding(kind, ".gitattributes")

    def counts(found: Finding | None) -> bool:
        return found is not None and found.kind in params.drop and stated.get(found.kind) is not False

    by_path = kind_of_path(document.path)
    named = Finding(FileKind(by_path.kind), by_path.by) if by_path else None
    if counts(named):
        return named
    told = kind_of_text(document.path, document.text, params.max_data_bytes)
    return told if counts(told) else None


def kind_of_text(path: str, text: str, max_data_bytes: int) -> Finding | None:
    """What the text gives away; prose is never judged by its content."""
    if _PROSE.search(path):
        return None
    if _DATA.search(path) and (size := len(text.encode("utf-8", "surrogatepass"))) > max_data_bytes:
        return Finding(FileKind.DATA, f"{size} bytes of data")
    if marker := generated_by(text):
        return Finding(FileKind.GENERATED, marker)
    if _SCRIPT.search(path):
        lines = text.count("\n") + 1
        if len(text) / lines > MINIFIED_LINE_CHARACTERS:
            return Finding(FileKind.MINIFIED, f"{len(text) // lines} characters a line")
    by = _kind_of_data(path, text)
    return Finding(FileKind.DATA, by) if by else None


def without_base64(text: str) -> tuple[str, int]:
    """A text with `[base64]` in place of pictures, fonts and public keys in it, and how many characters those had."""
    cut = 0

    def cuts(found: re.Match[str], group: int, after: str) -> str:
        nonlocal cut
        cut += len(found[group])
        return found[0].removesuffix(found[group]) + "[base64]" + after

    if "-----BEGIN " in text:
        text = _ARMOR.sub(lambda found: cuts(found, 2, "\n"), text)
    return _BASE64_RUN.sub(lambda found: cuts(found, 0, ""), text), cut


def generated_by(text: str) -> str | None:
    """The words by which a file's head says that a program wrote it."""
    head = text[:8_000].split("\n", HEAD_LINES)[:HEAD_LINES]
    for number, line in enumerate(head):
        near = "\n".join(head[number : number + NEAR_LINES + 1])
        if (
            _ONLY_HANDS_OFF.match(line)
            or _MARK.match(line)
            or (_BEGINS_GENERATED.match(line) and _SAYS_HANDS_OFF.search(near))
            or (_BEGINS_HANDS_OFF.match(line) and _SAYS_GENERATED.search(near))
        ):
            return " ".join(near.split())[:80]
    return None


def _kind_of_data(path: str, text: str) -> str | None:
    if _JSON.search(path):
        compact = text.replace('" :', '":')
        for name, keys in _DASHBOARDS:
            if all(key in compact for key in keys):
                return f"dashboard of {name}"
    if _COMPONENT.search(path) and _share(_VECTOR_PATH, text) > VECTOR_FRACTION:
        return "vector paths"
    if _share(_BASE64, text) > BASE64_FRACTION:
        return "base64"
    if len(text) >= MIN_NUMBERS_CHARACTERS and _share(_NUMBER, text) > NUMBERS_FRACTION:
        return "numbers"
    if len(text) >= MIN_NUMBERS_CHARACTERS * 10 and _tabbed(text) > TABBED_FRACTION:
        return "columns"
    if is_fixture(path):
        lines = [line for line in text.split("\n") if line.strip()]
        literal = sum(len(line) < MAX_LITERAL and _LITERAL_LINE.fullmatch(line.strip()) is not None for line in lines)
        if len(lines) >= MIN_LITERAL_LINES and literal >= LITERAL_FRACTION * len(lines):
            return "fixture"
    return None


def _tabbed(text: str) -> float:
    """Share of the lines that are not indented and have columns between tabs."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    return sum("\t" in line.strip() and not line[0].isspace() for line in lines) / max(1, len(lines))


def _share(pattern: re.Pattern[str], text: str) -> float:
    return sum(len(found.group()) for found in pattern.finditer(text)) / max(1, len(text))
