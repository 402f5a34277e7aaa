"""Paths of any bytes as text: UTF-8 where they are, else quoted as git quotes them, so that no two paths become one."""

from __future__ import annotations

import re
from typing import Final

_ESCAPES: Final = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_ESCAPE: Final = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')


def display_path(path: bytes) -> str:
    r"""A path as text: quoted as git does (`"caf\351.txt"`) where not UTF-8 or beginning with a quote; unique."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return quote_path(path)
    return quote_path(path) if text.startswith('"') else text


def quote_path(path: bytes) -> str:
    """A path in double quotes, all but printable ASCII as octal escapes, as git quotes with `core.quotePath`."""
    names = {value: name for name, value in _ESCAPES.items()}
    parts = [
        f"\\{names[byte]}" if byte in names else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in path
    ]
    return '"' + "".join(parts) + '"'


def unquote_path(quoted: bytes) -> bytes:
    """The bytes of a path as git printed it, quoted or not."""
    if not (len(quoted) > 1 and quoted.startswith(b'"') and quoted.endswith(b'"')):
        return quoted
    return _ESCAPE.sub(_unescape, quoted[1:-1])


def _unescape(match: re.Match[bytes]) -> bytes:
    token = match.group(1).decode()
    return bytes([_ESCAPES[token] if token in _ESCAPES else int(token, 8)])
