"""Dates as the records bear them."""

from __future__ import annotations

import datetime
from typing import Final

LAST: Final = 253_402_300_799
"""The last second of the year 9999; commits may bear dates beyond any calendar."""


def rfc3339(moment: int) -> str:
    """Seconds since 1970 as RFC 3339 with Z; dates before 1970 and after 9999 become the first and the last."""
    bounded = min(max(moment, 0), LAST)
    return datetime.datetime.fromtimestamp(bounded, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(written: bytes | str) -> int:
    """A date as git prints it, in seconds since 1970; 0 for one that git itself cannot read, as git has it."""
    digits = written.decode("ascii", "replace").strip() if isinstance(written, bytes) else written.strip()
    return min(int(digits), LAST) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else 0


def seconds_of(moment: str) -> int:
    """RFC 3339 with Z in seconds since 1970, the inverse of `rfc3339`."""
    return int(datetime.datetime.strptime(f"{moment[:-1]}+0000", "%Y-%m-%dT%H:%M:%S%z").timestamp())


def utc(written: str) -> str:
    """A date of any zone, with or without parts of a second, as RFC 3339 with Z, in whole seconds.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.datetime.fromisoformat(written)
    return rfc3339(int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()))


def day_end(day: datetime.date) -> int:
    """The last second of a day, UTC, in seconds since 1970."""
    return int(datetime.datetime.combine(day, datetime.time(23, 59, 59), datetime.UTC).timestamp())


def day_start(day: datetime.date) -> int:
    """The first second of a day, UTC, in seconds since 1970."""
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())
