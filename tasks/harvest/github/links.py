"""What GitHub's `Link` headers say of the other pages of a list."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tasks.harvest.git.repository import NUMBER


def next_query(link: str) -> dict[str, Any] | None:
    """The query parameters of the `next` page in a `Link` header."""
    for part in link.split(","):
        address, _, relation = part.partition(";")
        if 'rel="next"' in relation:
            return dict(parse_qsl(urlsplit(address.strip().strip("<>")).query))
    return None


def last_page(link: str) -> int | None:
    """The number of the last page that a `Link` header names, if it does."""
    for part in link.split(","):
        address, _, relation = part.partition(";")
        if 'rel="last"' in relation:
            page = dict(parse_qsl(urlsplit(address.strip().strip("<>")).query)).get("page", "")
            return int(page) if NUMBER.fullmatch(page) else None
    return None
