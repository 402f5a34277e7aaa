"""Bytes of a file as text, or the reason why they are none."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True)
class Decoded:
    """Text of a file. `encoding` and `mark` (a byte order mark was taken off) say how the bytes come back from it."""

    text: str
    encoding: str
    mark: bool = False


def decode(data: bytes) -> Decoded | None:
    """The text of a file's bytes, line ends as they are; None for a binary file.

    UTF-8, UTF-16 and UTF-32 with a byte order mark, and, where that fails, Windows-1252 or Latin-1, provided that
    hardly any control characters come out.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return Decoded(data[len(mark) :].decode(encoding), encoding, mark=True)
            except UnicodeDecodeError:
                break
    if b"\0" in data[:PROBE_BYTES]:
        return None
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _single_byte(data)


def _single_byte(data: bytes) -> Decoded | None:
    for encoding in ("cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        control = sum(1 for character in text if ord(character) < 32 and character not in "\t\n\r\f")
        control += sum(1 for character in text if 127 <= ord(character) < 160)
        if control <= _MAX_CONTROL_FRACTION * len(text):
            return Decoded(text, encoding)
    return None
