"""The thread of a pull request as it stood at a date: what came later is taken back, the newest first.

Forges date comments, reviews, merges and the events of a thread. They do not date edits of a description or a comment;
those are as found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

Item = dict[str, Any]

EVENTS: Final = {
    "LabeledEvent": "labeled",
    "UnlabeledEvent": "unlabeled",
    "ClosedEvent": "closed",
    "ReopenedEvent": "reopened",
    "RenamedTitleEvent": "renamed",
    "ConvertToDraftEvent": "convert_to_draft",
    "ReadyForReviewEvent": "ready_for_review",
}
"""GraphQL's types of the events that are kept, and REST's names for them."""

_DRAFT: Final = re.compile(r"\s*(?:draft:|\[draft\]|\(draft\)|wip:|\[wip\])", re.IGNORECASE)
_DATED: Final = ("comments", "reviews", "review_comments")
_ENDS: Final = ("merged_at", "answered_at")


def thread_at(thread: Item, until: str) -> Item:
    """A thread without what happened after a moment, and without its events.

    Args:
        thread: as it was found; `events` are ascending by date, or null where the forge did not tell them.
        until: RFC 3339 with Z.
    """
    found = {name: value for name, value in thread.items() if name not in ("events", "closed_at")}
    if thread["updated_at"] <= until:
        return found
    events = thread["events"] or []
    later = [event for event in events if event["created_at"] > until]
    if not any(event["event"] in ("closed", "reopened") for event in later) and (thread["closed_at"] or "") > until:
        found["state"] = "open"
    for event in reversed(later):
        _take_back(event, found)
    for name in _ENDS:
        if (found.get(name) or "") > until:
            found[name] = None
    if "answer" in found and found["answered_at"] is None:
        found["answer"] = None
    if found.get("not_planned") and any(event["event"] in ("closed", "reopened") for event in later):
        found["not_planned"] = False
    for name in _DATED:
        if name in thread:
            found[name] = [entry for entry in thread[name] if entry["created_at"] <= until]
    dates = [entry["created_at"] for entry in (*events, *(entry for name in _DATED for entry in found.get(name, ())))]
    known = [thread["created_at"], *(found.get(name) or "" for name in _ENDS), thread["closed_at"] or "", *dates]
    found["updated_at"] = max(date for date in known if date <= until)
    return found


def ended_at(thread: Item, until: str) -> str | None:
    """When an issue or discussion was closed for the last time up to a moment; None while it is open then.

    Args:
        thread: as it was found.
        until: RFC 3339 with Z.
    """
    if thread_at(thread, until)["state"] == "open":
        return None
    closed = [event["created_at"] for event in thread["events"] or () if event["event"] == "closed"]
    return max((date for date in (*closed, thread["closed_at"] or "") if date <= until), default="") or None


def renamed(before: str, after: str, moment: str) -> Iterator[Item]:
    """The events that a new title stands for where a draft is one by its title."""
    yield {"event": "renamed", "created_at": moment, "was": before}
    if is_draft(before) != is_draft(after):
        yield {
            "event": "convert_to_draft" if is_draft(after) else "ready_for_review",
            "created_at": moment,
            "was": "",
        }


def is_draft(title: str) -> bool:
    """Whether a title says that it is a draft's, as GitLab and Gitea have it."""
    return _DRAFT.match(title) is not None


def _take_back(event: Item, thread: Item) -> None:
    match event["event"]:
        case "labeled":
            thread["labels"] = [label for label in thread["labels"] if label != event["was"]]
        case "unlabeled":
            thread["labels"] = sorted({*thread["labels"], event["was"]})
        case "closed":
            thread["state"] = "open"
        case "reopened":
            thread["state"] = "closed"
        case "renamed":
            thread["title"] = event["was"]
        case "convert_to_draft" | "ready_for_review":
            thread["draft"] = event["event"] == "ready_for_review"
