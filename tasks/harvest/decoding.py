"""Bytes of a file as text, or the reason why they are none."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any, Final

PROBE_BYTES: Final = 8_000
"""A NUL this early makes a file binary, as in git's own `buffer_is_binary`."""

LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
"""First bytes of a Git LFS pointer (git-lfs docs/spec.md)."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAX_CONTROL_FRACTION: Final = 0.01
MAX_STRAY_FRACTION: Final = 0.01
"""Of a text in UTF-8 this share of its characters may be no UTF-8."""
LETTERS_FOR_EACH_STRAY: Final = 4
"""So many characters of UTF-8 beyond ASCII there must be for each byte that is none."""
MAX_CHAOS: Final = 0.2
"""What charset-normalizer may find odd in a text; 0 is none."""
DETECTED_BYTES: Final = 100_000
"""The encoding is told by this much of a file."""
EAST: Final = ("gb18030", "big5", "euc_jp", "shift_jis", "euc_kr", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256")
"""Encodings that are looked for, besides those of Western Europe."""

_WESTERN: Final = re.compile(
    r"[\xa0-\xff\u2013\u2014\u2018-\u201e\u2020\u2022\u2026\u20ac\u2122\u0152\u0153\u0160\u0161\u0178\u017d\u017e]"
)
_RUN: Final = re.compile(r"[^\x00-\x7f]+")
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_HALF: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Decoded:
    """Text of a file. `encoding` and `mark` (a byte order mark was taken off) say how the bytes come back from it."""

    text: str
    encoding: str
    mark: bool = False
    stray: int = 0
    """Bytes that are no UTF-8, for which U+FFFD stands."""


def decode(data: bytes) -> Decoded | None:
    """The text of a file's bytes, line ends as they are; None for a binary file and for an encoding that is not known.

    UTF-8, UTF-16 and UTF-32 with a byte order mark; UTF-8 with a few stray bytes; Windows-1252 or Latin-1 where it is
    like words of Western Europe; else what charset-normalizer finds among `EAST`, if it finds little amiss.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return Decoded(data[len(mark) :].decode(encoding), encoding, mark=True)
            except UnicodeDecodeError:
                break
    if is_binary(data):
        return None
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _mostly_utf8(data) or _western(data) or _detected(data)


def is_binary(data: bytes) -> bool:
    """Whether bytes are no text in any encoding without zeros: a NUL, or too many control characters, early on."""
    probe = data[:PROBE_BYTES]
    return b"\0" in probe or len(_CONTROL.findall(probe)) > _MAX_CONTROL_FRACTION * len(probe)


def whole(value: Any) -> tuple[Any, int]:
    """A JSON value whose texts have no half surrogate pairs, for which U+FFFD stands, and how many there were."""
    if isinstance(value, str):
        return _HALF.subn("\ufffd", value)
    if isinstance(value, dict):
        made = {key: whole(item) for key, item in value.items()}
        return {key: item for key, (item, _) in made.items()}, sum(count for _, count in made.values())
    if isinstance(value, list):
        items = [whole(item) for item in value]
        return [item for item, _ in items], sum(count for _, count in items)
    return value, 0


def _mostly_utf8(data: bytes) -> Decoded | None:
    text = data.decode("utf-8", "replace")
    stray = text.count("\ufffd")
    letters = sum(map(len, _RUN.findall(text))) - stray
    if stray <= MAX_STRAY_FRACTION * len(text) and letters >= LETTERS_FOR_EACH_STRAY * stray:
        return Decoded(text, "utf-8", stray=stray)
    return None


def _western(data: bytes) -> Decoded | None:
    """The text in Windows-1252 or Latin-1, if what is not ASCII are single letters and quotes of such languages."""
    for encoding in ("cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        runs = _RUN.findall(text)
        high = sum(map(len, runs))
        if len(_WESTERN.findall(text)) >= 0.95 * high and high <= 1.6 * len(runs):
            return Decoded(text, encoding)
    return None


def _detected(data: bytes) -> Decoded | None:
    from charset_normalizer import from_bytes

    match = from_bytes(data[:DETECTED_BYTES], cp_isolation=list(EAST), threshold=MAX_CHAOS).best()
    if match is None:
        return None
    try:
        return Decoded(data.decode(match.encoding), match.encoding)
    except UnicodeDecodeError:
        return None
