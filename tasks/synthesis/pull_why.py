"""Method `pull_why`: what a pull request changed, and above all why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from tasks.base.records import Document, Kind, Verdict
from tasks.llm.calls import Call
from tasks.synthesis import code_wordings as wordings
from tasks.synthesis import prompts
from tasks.synthesis.banked import Fact, drafts_of
from tasks.synthesis.drafts import Draft, spread
from tasks.synthesis.evidence import quoted
from tasks.synthesis.methods import Subject
from tasks.synthesis.page_qa import Pairs
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "pull_why"
PROMPT_VERSION: Final = "pull_why/2026.11.24"

TASK: Final = """\
Write up to {number} question-answer pairs about pull request #{path} of the repository `{repo}`. Ask above all why: \
why the change was made, why in this way, which problem or objection came up, what reviewers decided; then what was \
changed and in which files. Give with each pair as evidence the sentence or line that proves the answer, copied word \
for word."""

MIN_WHY_CHARACTERS: Final = 30
"""A shorter description gives no reason."""

MAX_LISTED: Final = 60

MAX_FILES: Final = 8
"""Files of one pull request that are asked about one by one."""


def applies(subject: Subject) -> bool:
    """Pull requests."""
    return subject.document.kind is Kind.PULL


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """Title, description, files, dates, authors and review remarks, each verbatim."""
    yield from drafts_of(subject.document, list(_facts(subject.document, params.max_answer_characters)), params)


def _facts(document: Document, limit: int) -> Iterator[Fact]:
    meta = document.meta
    whole = (1, document.text.count("\n") + 1)
    title = document.title.strip()
    words = {"number": document.path, "title": title}
    if title:
        yield Fact(wordings.PULL_TITLE, wordings.PULL_TITLE_ANSWER, (1, 1), (title,), words)
        yield Fact(wordings.PULL_NUMBER, wordings.PULL_NUMBER_ANSWER, (1, 1), (title, document.path), words)
    text = document.text.strip()
    if MIN_WHY_CHARACTERS <= len(text) <= limit:
        yield Fact(wordings.PULL_WHY, ("{text}",), whole, (text,), words | {"text": text})
    files = [entry["path"] for entry in meta.get("files") or [] if isinstance(entry.get("path"), str)]
    if 0 < len(files) <= MAX_LISTED:
        listing = "\n".join(f"- `{path}`" for path in files)
        yield Fact(wordings.PULL_FILES, ("{listing}",), (1, 1), tuple(files), words | {"listing": listing})
    for path in [files[place] for place in spread(len(files), MAX_FILES)] if title else []:
        yield Fact(wordings.PULL_FILE_WHY, ("{title}",), (1, 1), (path, title), words | {"file": path})
    if isinstance(meta.get("merged_at"), str):
        date = meta["merged_at"][:10]
        yield Fact(wordings.PULL_MERGED, ("{date}", "On {date}."), (1, 1), (date,), words | {"date": date})
    if isinstance(meta.get("author"), str) and meta["author"]:
        yield Fact(wordings.PULL_AUTHOR, ("`{author}`",), (1, 1), (meta["author"],), words | {"author": meta["author"]})
    yield from _remarks(meta.get("review_comments") or [], words, limit)


def _remarks(comments: list[dict[str, Any]], words: dict[str, str], limit: int) -> Iterator[Fact]:
    """Review comments that are the only one of their author on their file."""
    places = [(comment.get("author"), comment.get("path")) for comment in comments]
    for comment, place in zip(comments, places, strict=True):
        body = (comment.get("body") or "").strip()
        if all(place) and places.count(place) == 1 and MIN_WHY_CHARACTERS <= len(body) <= limit:
            named = words | {"author": str(place[0]), "file": str(place[1]), "body": body}
            yield Fact(wordings.PULL_COMMENT, ("{body}",), (1, 1), (body,), named)


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call with title, description, threads and the beginnings of the patches."""
    document = subject.document
    shown = shown_pull(document, params.window_characters)
    if not document.text.strip() and not document.meta.get("comments") and not document.meta.get("reviews"):
        return  # nobody said why
    number = min(8, prompts.wanted(shown, params))
    task = TASK.format(number=number, path=document.path, repo=document.repo)
    blocks = [prompts.block(document, shown, 1, document.text.count("\n") + 1)]
    yield prompts.call(document, METHOD, METHOD, Pairs, blocks, task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """The pairs of a reply."""
    assert isinstance(answer, Pairs)
    for pair in answer.pairs:
        yield quoted(subject.document, pair.question, pair.answer, pair.evidence)


def shown_pull(document: Document, limit: int) -> str:
    """A pull request as a model sees it: description first, then threads, then patches, cut at the limit."""
    meta = document.meta
    parts = [document.title, document.text]
    for topic in ("comments", "reviews", "review_comments"):
        for comment in meta.get(topic) or []:
            if comment.get("body"):
                where = f" on {comment['path']}" if comment.get("path") else ""
                parts.append(f"{comment.get('author')}{where}:\n{comment['body']}")
    for entry in meta.get("files") or []:
        parts.append(f"{entry.get('status')} {entry.get('path')}\n{entry.get('patch') or ''}")
    return "\n\n".join(parts)[:limit]
