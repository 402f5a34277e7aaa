"""What GitLab says of merge requests and issues, in the one shape that threads have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tasks.harvest.dates import utc
from tasks.harvest.forge.at_date import is_draft, renamed
from tasks.harvest.forge.cache import Listed
from tasks.harvest.forge.listing import SAID, object_id
from tasks.harvest.forge.remarks import ordered, rooted
from tasks.text.people import is_bot

Item = dict[str, Any]

STATES: Final = {"closed": "closed", "merged": "closed", "reopened": "reopened"}
"""Resource state events, and what they are called among GitHub's."""
REVIEWS: Final = {"approved this merge request": "APPROVED", "requested changes": "CHANGES_REQUESTED"}
"""Notes of GitLab's own that are reviews, by how they begin."""

_RENAMED: Final = re.compile(r"changed title from \*\*(.*?)\*\* to \*\*(.*)\*\*", re.DOTALL)
_MARKED: Final = re.compile(r"\{([-+])(.*?)\1\}", re.DOTALL)
"""What of a title is new or gone."""
_TOKEN_BOT: Final = re.compile(r"(?:project|group)_[0-9]{1,12}_bot")
"""Accounts that GitLab makes for access tokens of projects and groups."""


def listed(item: Item) -> Listed | None:
    """What the list says of a merge request or an issue; None of a confidential issue."""
    if item.get("confidential"):
        return None
    merged_at = _date(item.get("merged_at"))
    merge = item.get("merge_commit_sha") or item.get("squash_commit_sha")
    return Listed(
        number=item["iid"],
        created_at=utc(item["created_at"]),
        updated_at=utc(item["updated_at"]),
        closed_at=_date(item.get("closed_at")) or merged_at,
        merged_at=merged_at,
        bot=is_bot(author(item.get("author"))),
        head=object_id(item.get("sha")),
        base=None,
        merge=object_id(merge) if merged_at else None,
    )


def detail(item: Item) -> Item:
    """What a merge request's or an issue's entry in a list, or its own resource, says of it."""
    merged_at = _date(item.get("merged_at"))
    found = {
        "number": item["iid"],
        "title": item["title"],
        "body": item.get("description") or "",
        "url": item["web_url"],
        "state": "closed" if item["state"] in ("closed", "merged") else "open",
        "merged_at": merged_at,
        "closed_at": _date(item.get("closed_at")) or merged_at,
        "created_at": utc(item["created_at"]),
        "updated_at": utc(item["updated_at"]),
        "author": author(item.get("author")),
        "draft": bool(item.get("draft", item.get("work_in_progress", is_draft(item["title"])))),
        "labels": sorted(item.get("labels") or ()),
        SAID: item.get("user_notes_count", 1),
    }
    if "sha" in item:  # only merge requests have a head
        return found
    found["not_planned"] = (item.get("_links") or {}).get("closed_as_duplicate_of") is not None
    return {name: value for name, value in found.items() if name not in ("merged_at", "draft")}


def merge_request(head: Item, discussions: Iterable[Item], events: list[Item] | None) -> Item:
    """The thread of a merge request: notes on lines are review comments, approvals are reviews."""
    notes = [note for _, note in said(discussions)]
    own = [note for note in notes if not note["system"]]
    return head | {
        "comments": ordered([_comment(note) for note in own if not note.get("position")]),
        "reviews": ordered([review for note in notes if note["system"] for review in _reviews(note)]),
        "review_comments": rooted([_remark(first, note) for first, note in said(discussions) if note.get("position")]),
        "events": events,
    }


def issue(head: Item, discussions: Iterable[Item], events: list[Item] | None) -> Item:
    """The thread of an issue; what stands in a thread within it says which note that began with."""
    comments = [
        _comment(note) | {"in_reply_to": None if first["id"] == note["id"] else first["id"]}
        for first, note in said(discussions)
        if not note["system"]
    ]
    return head | {"comments": rooted(comments), "events": events}


def said(discussions: Iterable[Item]) -> Iterator[tuple[Item, Item]]:
    """Every note with the first of its discussion, without those that are for members only."""
    for discussion in discussions:
        notes = [note for note in discussion["notes"] if not (note.get("internal") or note.get("confidential"))]
        for note in notes:
            yield notes[0], note


def events(discussions: Iterable[Item], states: Iterable[Item], labels: Iterable[Item]) -> list[Item]:
    """What happened, ascending by date."""
    found = [
        {"event": STATES[item["state"]], "created_at": utc(item["created_at"]), "was": ""}
        for item in states
        if item["state"] in STATES
    ]
    for item in labels:
        if item.get("label"):  # null: it was deleted
            name = {"add": "labeled", "remove": "unlabeled"}[item["action"]]
            found.append({"event": name, "created_at": utc(item["created_at"]), "was": item["label"]["name"]})
    for _, note in said(discussions):
        if note["system"] and (titles := _RENAMED.match(note["body"])):
            before, after = (_MARKED.sub(r"\2", title) for title in titles.groups())
            found += renamed(before, after, utc(note["created_at"]))
    return sorted(found, key=lambda event: event["created_at"])


def changed_file(item: Item) -> Item:
    """A changed file, with its patch unless that was too large for GitLab."""
    status = next((name for name in ("new_file", "deleted_file", "renamed_file") if item.get(name)), "")
    is_patch = item.get("diff", "").startswith("@@")
    return {
        "path": item["new_path"],
        "status": {"new_file": "added", "deleted_file": "removed", "renamed_file": "renamed"}.get(status, "modified"),
        "previous_path": item["old_path"] if item["old_path"] != item["new_path"] else None,
        "patch": item["diff"].removesuffix("\n") if is_patch else None,
        "left_out": bool(item.get("too_large") or item.get("collapsed")),
    }


def author(user: Item | None) -> str:
    """Username; one of an access token gets the end that programs have on GitHub, by which they are known."""
    if user is None:
        return "ghost"
    name = str(user["username"])
    return f"{name}[bot]" if _TOKEN_BOT.match(name) else name


def _comment(note: Item) -> Item:
    return {
        "id": note["id"],
        "author": author(note.get("author")),
        "created_at": utc(note["created_at"]),
        "body": note["body"],
    }


def _remark(first: Item, note: Item) -> Item:
    place = note["position"]
    line = place.get("new_line")
    return _comment(note) | {
        "path": place.get("new_path") or place.get("old_path") or "",
        "line": place.get("old_line") if line is None else line,
        "hunk": "",
        "in_reply_to": None if first["id"] == note["id"] else first["id"],
    }


def _reviews(note: Item) -> Iterator[Item]:
    for words, state in REVIEWS.items():
        if note["body"].startswith(words):
            yield _comment(note) | {"body": "", "state": state}


def _date(written: str | None) -> str | None:
    return utc(written) if written else None
