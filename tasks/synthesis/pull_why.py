"""Method `pull_why`: what a pull request changed, and above all why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Document, Kind
from tasks.llm.calls import Call
from tasks.synthesis import prompts
from tasks.synthesis.drafts import Draft
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


def applies(subject: Subject) -> bool:
    """Pull requests."""
    return subject.document.kind is Kind.PULL


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
