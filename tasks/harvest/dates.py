"""Dates as the records bear them."""

from __future__ import annotations

import datetime


def rfc3339(seconds: int) -> str:
    """Seconds since 1970 as RFC 3339 with Z."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_end(day: datetime.date) -> int:
    """The last second of a day, UTC, in seconds since 1970."""
    return int(datetime.datetime.combine(day, datetime.time(23, 59, 59), datetime.UTC).timestamp())


def day_start(day: datetime.date) -> int:
    """The first second of a day, UTC, in seconds since 1970."""
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())
