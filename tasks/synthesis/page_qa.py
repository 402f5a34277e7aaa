"""Method `page_qa`: question-answer pairs from the text of a page (the article's first kind of dialogue)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from tasks.llm.calls import Call
from tasks.synthesis import pages, prompts
from tasks.synthesis.drafts import Draft
from tasks.synthesis.evidence import quoted, windows
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "page_qa"
PROMPT_VERSION: Final = "page_qa/2026.11.24"

TASK: Final = """\
Write up to {number} question-answer pairs about {page} of the repository `{repo}`, spread over the whole text shown. \
Ask what a colleague would ask: what something is, how and why it is done, which value, command, name or place. \
Give with each pair as evidence the sentence or line of the document that proves the answer, copied word for word."""


class Pair(prompts.Reply):
    """One question with its answer and a verbatim quote that proves it."""

    question: str
    answer: str
    evidence: str


class Pairs(prompts.Reply):
    """The reply."""

    pairs: list[Pair]


def applies(subject: Subject) -> bool:
    """Pages only."""
    return subject.is_page


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call for each window of the page."""
    document = subject.document
    for first, last, text in windows(document.text, params.window_characters):
        task = TASK.format(number=prompts.wanted(text, params), page=pages.label(document), repo=document.repo)
        shown = [prompts.block(document, text, first, last)]
        yield prompts.call(document, METHOD, f"{METHOD}/{first}", Pairs, shown, task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """The pairs of a reply."""
    assert isinstance(answer, Pairs)
    for pair in answer.pairs:
        yield quoted(subject.document, pair.question, pair.answer, pair.evidence)
