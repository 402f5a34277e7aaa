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
from tasks.text.conversations import starts

FILE_RANK, HUNK_RANK, POST_RANK = 0, 1, 1
"""Ranks of cuts in a pull request or conversation; a lower rank is cut at first."""
HUNK_LINES: Final = 8
"""Of a hunk that a review comment is about, which ends at the line in question; GitHub shows four."""
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
    if document.is_conversation:
        return list(_conversation_parts(document, params))
    return [Part(f"{_page_title(document, params)}{document.text}", FILE_RANK)]


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
    at = f" @ {document.revision[:12]}" if document.revision else ""
    return f"[{document.repo}/{document.kind}/{document.path}{at}{as_of}]\n"


def _pull_parts(document: Document, params: RenderParams) -> Iterator[Part]:
    meta = document.meta
    title = f"PR #{meta.get('number', document.path)}: {document.title}"
    if meta.get("bot"):
        merged = f", merged {meta['merged_at'][:10]}" if meta.get("merged_at") else ""
        yield Part(f"{title} ({meta.get('author')}{merged})", FILE_RANK)
        return
    says_none = params.absent == "none" and document.url is not None
    fields = {
        "URL": document.url,
        "Description": document.text,
        "Created at": document.created_at,
        "Merged at": meta.get("merged_at"),
    }
    told = [f"{name}: {value or None}" for name, value in fields.items() if value or says_none]
    address = f"URL: {document.url}\n" if document.url else ""
    repeated = f"{title[:MAX_TITLE_CHARACTERS]}\n{address}"
    yield Part("\n".join([title, *told]), FILE_RANK, repeated)
    for file in meta.get("files") or ():
        yield from _file_parts(file, repeated, says_none, params.paths == "full")
    for line in _thread(meta, params, says_none):
        yield Part(f"\n{line}", HUNK_RANK, repeated, repeated)


def _conversation_parts(document: Document, params: RenderParams) -> Iterator[Part]:
    """A part for each post; a chunk that begins inside one repeats what it is about, who speaks and when."""
    text = document.text
    heads = starts(text)
    first = text.partition("\n")[0]
    about = f"{first[:MAX_TITLE_CHARACTERS]}\n" if first.startswith("# ") else ""
    opening = text[: heads[0][0]] if heads else text
    yield Part(f"{_page_title(document, params)}{opening}", FILE_RANK, about)
    ends = [*(start for start, _ in heads[1:]), len(text)]
    for (start, head), end in zip(heads, ends, strict=True):
        yield Part(text[start:end], POST_RANK, f"{about}{head}", about)


def _page_title(document: Document, params: RenderParams) -> str:
    """A page's title as a heading, unless it begins with that; wikis show it above the text, which often lacks it."""
    if params.paths != "full" or not document.title:
        return ""
    first = document.text.lstrip().partition("\n")[0]
    return "" if _words(first) == _words(document.title) else f"# {document.title}\n\n"


def _words(title: str) -> list[str]:
    """Of a title or a heading; page names have dashes or underscores between them."""
    return re.findall(r"[^\W_]+", title.casefold())


def _breaks_at_ends(parts: list[Part]) -> list[Part]:
    """The same rendering with the line break between two parts at the end of the first, so that no chunk begins with
    one.
    """
    moved = [replace(part, text=part.text.removeprefix("\n")) for part in parts]
    return [
        replace(part, text=part.text + "\n") if following.text.startswith("\n") else part
        for part, following in zip(moved, [*parts[1:], Part("", FILE_RANK)], strict=True)
    ]


def _file_parts(file: dict[str, Any], repeated: str, says_none: bool, names_old: bool) -> Iterator[Part]:
    before = f" from {file['previous_path']}" if names_old and file.get("previous_path") else ""
    named = f"File: {file['path']}, Status: {file['status']}{before}"
    inside = f"{repeated}{named}\n"
    if not file.get("patch"):
        yield Part(f"\n{named}" + ("\nChanges: None" if says_none else ""), FILE_RANK, inside, repeated)
        return
    first, *others = _HUNK.split(file["patch"])[_starts_with_hunk(file["patch"]) :]
    yield Part(f"\n{named}\nChanges: {first}", FILE_RANK, inside, repeated)
    for hunk in others:
        yield Part(hunk, HUNK_RANK, inside, inside)


def _starts_with_hunk(patch: str) -> int:
    """1 where splitting leaves an empty first piece, so that the first hunk stays with its file's name."""
    return int(patch.startswith("@@ "))


def _thread(meta: dict[str, Any], params: RenderParams, says_none: bool) -> Iterator[str]:
    if params.threads == "none":
        return
    for comment in meta.get("comments") or ():
        yield f"Comment by {_said(comment)}: {comment['body']}"
    if params.threads == "comments":
        return
    for review in meta.get("reviews") or ():
        if review.get("body") or review.get("state") not in (None, "COMMENTED"):
            said = f": {review.get('body') or None}" if review.get("body") or says_none else ""
            yield f"Review by {_said(review)}, {review['state']}{said}"
    remarks = meta.get("review_comments") or ()
    replies: dict[Any, list[dict[str, Any]]] = {}
    first_ones = {remark.get("id") for remark in remarks if remark.get("in_reply_to") is None}
    for remark in remarks:
        if remark.get("in_reply_to") in first_ones - {None}:
            replies.setdefault(remark["in_reply_to"], []).append(remark)
    for remark in remarks:
        if remark.get("in_reply_to") in first_ones - {None}:
            continue
        yield _remark(remark)
        for reply in replies.get(remark.get("id"), ()):
            yield f"Reply by {_said(reply)}: {reply['body']}"


def _remark(remark: dict[str, Any]) -> str:
    """A review comment below the last lines of the hunk that it is about."""
    place = f"{remark['path']}:{remark['line']}" if remark.get("line") else remark["path"]
    lines = (remark.get("hunk") or "").split("\n")[-HUNK_LINES:]
    hunk = "\n" + "\n".join(f"> {line}" for line in lines) + "\n" if any(lines) else " "
    return f"Review comment by {_said(remark)} on {place}:{hunk}{remark['body']}"


def _said(entry: dict[str, Any]) -> str:
    """Who and when; GitHub shows authors of deleted accounts as `ghost`."""
    return f"{entry.get('author') or 'ghost'} at {entry.get('created_at')}"
