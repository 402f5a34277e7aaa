"""What people said, in the order in which they said it."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]


def ordered(items: list[Item]) -> list[Item]:
    """Items by date, then id; the same by every interface."""
    return sorted(items, key=lambda item: (item["created_at"], item["id"]))


def rooted(remarks: list[Item]) -> list[Item]:
    """Review comments in order, each `in_reply_to` the first comment of its conversation."""
    parents = {item["id"]: item["in_reply_to"] for item in remarks}

    def root(identifier: int | None) -> int | None:
        while identifier is not None and parents.get(identifier) is not None:
            identifier = parents[identifier]
        return identifier

    return ordered([item | {"in_reply_to": root(item["in_reply_to"])} for item in remarks])
