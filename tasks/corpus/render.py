"""A document as the text that is trained on. The defaults are the article's formats byte for byte; options add to them.

A rendering is a list of parts whose texts join to it: where one begins is a good place to cut, and each knows what to
repeat when a chunk begins inside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from tasks.base.records import Document, Kind
from tasks.corpus.params import RenderParams

FILE_RANK, HUNK_RANK = 0, 1
"""Ranks of cuts in a pull request; a lower rank is cut at first."""
MAX_TITLE_CHARACTERS: Final = 200
"""A title is cut to this where it is repeated."""

_HUNK: Final = re.compile(r"^(?=@@ )", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A stretch of a rendering."""

    text: str
    rank: int
    """How good a cut before it is; 0 is best."""
    context: str = ""
    """What a chunk that begins in the middle of this part repeats, ending in a line break."""
    opening: str = ""
    """What a chunk that begins with this part repeats."""


def render_document(document: Document, params: RenderParams) -> str:
    """The document's text for training. Pure and deterministic."""
    return "".join(part.text for part in render_parts(document, params))


def render_parts(document: Document, params: RenderParams) -> list[Part]:
    """The rendering in stretches; their texts join to `render_document`."""
    if document.kind is Kind.FILE:
        name = document.path if params.paths == "full" else document.path.rsplit("/", 1)[-1]
        return [Part(f"- File: {name}\n  Content:\n{document.text}", FILE_RANK)]
    if document.kind is Kind.PULL:
        return _breaks_at_ends(list(_pull_parts(document, params)))
    return [Part(document.text, FILE_RANK)]


def source_header(document: Document, params: RenderParams) -> str:
    """The line before every chunk that names repository, path, revision and date; empty unless asked for."""
    if params.header == "none":
        return ""
    date = (
        document.meta.get("committed_at")
        or document.meta.get("merged_at")
        or document.updated_at
        or document.created_at
    )
    as_of = f", as of {date[:10]}" if date else ""
    return f"[{document.repo}/{document.kind}/{document.path} @ {document.revision[:12]}{as_of}]\n"


def _pull_parts(document: Document, params: RenderParams) -> Iterator[Part]:
    meta = document.meta
    title = f"PR #{meta.get('number', document.path)}: {document.title}"
    dates = f"Created at: {document.created_at}\nMerged at: {meta.get('merged_at')}"
    repeated = f"{title[:MAX_TITLE_CHARACTERS]}\nURL: {document.url}\n"
    head = f"{title}\nURL: {document.url}\nDescription: {document.text or None}\n{dates}"
    yield Part(head, FILE_RANK, repeated)
    for file in meta.get("files") or ():
        yield from _file_parts(file, repeated)
    for line in _thread(meta, params):
        yield Part(f"\n{line}", HUNK_RANK, repeated, repeated)


def _breaks_at_ends(parts: list[Part]) -> list[Part]:
    """The same rendering with the line break between two parts at the end of the first, so that no chunk begins with
    one.
    """
    moved = [replace(part, text=part.text.removeprefix("\n")) for part in parts]
    return [
        replace(part, text=part.text + "\n") if following.text.startswith("\n") else part
        for part, following in zip(moved, [*parts[1:], Part("", FILE_RANK)], strict=True)
    ]


def _file_parts(file: dict[str, Any], repeated: str) -> Iterator[Part]:
    named = f"File: {file['path']}, Status: {file['status']}"
    inside = f"{repeated}{named}\n"
    first, *others = _HUNK.split(file["patch"])[_starts_with_hunk(file["patch"]) :] if file.get("patch") else ["None"]
    yield Part(f"\n{named}\nChanges: {first}", FILE_RANK, inside, repeated)
    for hunk in others:
        yield Part(hunk, HUNK_RANK, inside, inside)


def _starts_with_hunk(patch: str) -> int:
    """1 where splitting leaves an empty first piece, so that the first hunk stays with its file's name."""
    return int(patch.startswith("@@ "))


def _thread(meta: dict[str, Any], params: RenderParams) -> Iterator[str]:
    if params.threads == "none":
        return
    for comment in meta.get("comments") or ():
        yield f"Comment by {_said(comment)}: {comment['body']}"
    if params.threads == "comments":
        return
    for review in meta.get("reviews") or ():
        if review.get("body") or review.get("state") not in (None, "COMMENTED"):
            yield f"Review by {_said(review)}, {review['state']}: {review.get('body') or None}"
    for comment in meta.get("review_comments") or ():
        place = f"{comment['path']}:{comment['line']}" if comment.get("line") else comment["path"]
        yield f"Review comment by {_said(comment)} on {place}: {comment['body']}"


def _said(entry: dict[str, Any]) -> str:
    """Who and when; GitHub shows authors of deleted accounts as `ghost`."""
    return f"{entry.get('author') or 'ghost'} at {entry.get('created_at')}"
