"""An issue or discussion as one conversation in Markdown: what it is, then who said what, on which day.

From then on it is prose like every page: chunks, passages and facts need not know a forge's fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tasks.base.records import NUMBERED, Document
from tasks.text.conversations import ACCEPTED, Post, written

_PARTS: Final = frozenset({"comments", "answer"})
"""Fields of `meta` that the text holds from now on."""


def as_conversation(document: Document) -> Document:
    """The document with its posts as its text; `meta.entries` is their number."""
    meta = document.meta
    first = Post(str(meta.get("author") or "ghost"), (document.created_at or "")[:10], document.text)
    posts = [post for post in (first, *_replies(meta)) if post.text.strip()]
    head = f"# {' '.join(document.title.split())}\n\n{_about(document)}\n\n"
    kept = {name: value for name, value in meta.items() if name not in _PARTS}
    return document.model_copy(
        update={"text": head + (written(posts) if posts else ""), "meta": kept | {"entries": len(posts)}}
    )


def _replies(meta: dict[str, Any]) -> Iterator[Post]:
    """Comments by date, each followed by the replies to it."""
    comments = meta.get("comments") or []
    known = {comment["id"] for comment in comments}
    replies: dict[Any, list[dict[str, Any]]] = {}
    for comment in comments:
        parent = comment.get("in_reply_to")
        replies.setdefault(parent if parent in known else None, []).append(comment)
    for comment in replies.get(None, ()):
        for said in (comment, *replies.get(comment["id"], ())):
            note = ACCEPTED if said["id"] == meta.get("answer") else ""
            yield Post(str(said.get("author") or "ghost"), said["created_at"][:10], said["body"], note)


def _about(document: Document) -> str:
    meta = document.meta
    told = [f"{NUMBERED[document.kind].capitalize()} #{document.path}"]
    if meta.get("category"):
        told.append(f"in {meta['category']}")
    if meta.get("state") == "closed":
        day = f" on {meta['closed_at'][:10]}" if meta.get("closed_at") else ""
        told.append(f"closed{day}{' as not planned' if meta.get('not_planned') else ''}")
    elif meta.get("state"):
        told.append(str(meta["state"]))
    labels = f"; labels: {', '.join(meta['labels'])}" if meta.get("labels") else ""
    return f"{', '.join(told)}{labels}."
