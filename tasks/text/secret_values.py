"""Whether a value that stands where a secret could stand is one: identifiers, words, placeholders, paths and
expressions are none.
"""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import unquote

MIN_CHARACTERS: Final = 8
MIN_RANDOM_CHARACTERS: Final = 16
MIN_DISTINCT: Final = 8
MAX_WORDS_SHARE: Final = 0.6
"""Of a random value's letters and digits, what lies in runs that look like words; of random values of 20 letters and
digits 98% have less (`tests/text/test_planted.py`).
"""

_PLACEHOLDER: Final = re.compile(
    r"example|placeholder|change[_-]?(?:me|it)|\byour|(?<![a-z])your[_-]|x{4}|\*{3}|\.{3}|dummy|redacted|fixme|(?<![a-z])todo"
    r"|insert[_-]|replace[_-]|lorem|0123456|1234567|abcdef|not[_-]a[_-]real|deadbeef",
    re.IGNORECASE,
)
_CODE: Final = re.compile(
    r"\$\{|\$\(|\$\$|\{\{|\{%|<%|%[sd(]|#\{|&&|\|\||==(?=.)|=>|->|::|://|\\[dws]|\[[a-z]-|^\^|^@?\{|\w[!?]?\(|\)$|^[\w$]+\[|\.\*"
    r"|^[A-Za-z_.]{2,60}=(?!=|$)|\(\?|\w\|\w|aws4_request|^\$[A-Za-z_]\w*$"
)
_EMAIL: Final = re.compile(r"[\w.+%-]{1,80}@(?:[\w-]{1,60}\.){1,5}[A-Za-z]{2,20}")
_RUN: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_CONSONANTS: Final = re.compile(r"[^aeiouyAEIOUY]{5}")
_VOWEL: Final = re.compile(r"[aeiouAEIOU]")
_SPECIAL: Final = re.compile(r"[!@#%^&*+=?~|$]")


def looks_secret(value: str, is_password: bool = False, is_quoted: bool = True) -> bool:
    """Whether a value is random enough to be a key or, where a password stands, odd enough to be one.

    Args:
        value: as it is written, without quotes.
        is_password: a password stands here, so that `Tr0ub4dor&3` is one although it is short.
        is_quoted: it is written as a string; otherwise names of variables may stand here.
    """
    value = unquote(value)
    if plain := decoded(value):  # a password or an address in base64 is what it says
        value, is_quoted = plain.strip(), True
    if len(value) < MIN_CHARACTERS or _PLACEHOLDER.search(value) or _CODE.search(value) or _EMAIL.fullmatch(value):
        return False
    return is_random(value) or (is_password and _is_odd(value, is_quoted))


def decoded(written: str) -> str:
    """The text that is written in base64, or nothing if it is no text."""
    bare = written.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        said = base64.b64decode(bare[: len(bare) - (len(bare) % 4 == 1)] + "=" * (-len(bare) % 4), validate=True)
        text = said.decode("ascii")
    except ValueError:
        return ""
    return text if all(letter.isprintable() or letter in "\r\n\t" for letter in text) else ""


def is_random(value: str) -> bool:
    """Whether letters and digits are mixed as in a generated key."""
    said = [letter for letter in value if letter.isalnum()]
    letters = sum(letter.isalpha() for letter in said)
    if (
        "," in value
        or not value.isascii()
        or len(said) < MIN_RANDOM_CHARACTERS
        or letters < 4
        or len(set(said)) < MIN_DISTINCT
    ):
        return False
    if not any(letter.isdigit() for letter in said) and (value.islower() or value.isupper()):
        return False
    words = sum(len(run) for run in _RUN.findall(value) if _is_word(run))
    return words / len(said) < MAX_WORDS_SHARE


def _is_word(run: str) -> bool:
    return len(run) >= 4 and _VOWEL.search(run) is not None and _CONSONANTS.search(run) is None


def _is_odd(value: str, is_quoted: bool) -> bool:
    """Letters of both cases, digits and signs: three of these four, and signs where no quotes are."""
    value = value.strip("!?.*&")  # a word is no password for a sign before or behind it
    if any(letter.isspace() for letter in value) or not any(letter.isalpha() for letter in value):
        return False
    special = _SPECIAL.search(value) is not None
    classes = (value.lower() != value, value.upper() != value, any(map(str.isdigit, value)), special)
    return sum(classes) >= 3 and (special or is_quoted)
