"""Method `rewrites`: the same document in other genres.

Rewriting in a few fixed genres carries knowledge that questions alone do not (SPA's seven prompts, arXiv 2603.22213;
mixing questions and rewritten documents 1:1, arXiv 2603.23562). Genres are used in the order below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Kind
from tasks.llm.calls import Call
from tasks.synthesis import pages, prompts
from tasks.synthesis.drafts import Draft, repo_name
from tasks.synthesis.evidence import windows
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "rewrites"
PROMPT_VERSION: Final = "rewrites/2026.11.24"

GENRES: Final = {
    "key concepts": "List and explain the key concepts of {what}.",
    "implications": "What follows from {what} for someone who changes the code? Go through its implications.",
    "case study": "Tell a short case study in which a colleague needs {what}.",
    "teacher": "Explain {what} to a new colleague, as a patient teacher would.",
    "discussion": "Write a discussion between two engineers about {what}.",
    "mind map": "Draw a mind map of {what} as a nested list.",
    "deep questions": "Ask and answer the deep questions about {what}.",
}
"""Genre → the question that the rewrite answers."""

TASK: Final = """\
Rewrite what the document says as one text in the genre "{genre}", as the answer to: "{question}" Every statement must \
be supported by the document; keep all names, paths, numbers and identifiers as they are there. Leave nothing \
important out."""

MIN_CHARACTERS: Final = 400
"""A shorter document is a few facts; rewriting it adds none."""


class Rewrite(prompts.Reply):
    """The reply."""

    text: str


def applies(subject: Subject) -> bool:
    """Files and pages."""
    return subject.document.kind is not Kind.PULL


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call for each window and genre; the genres of a window share their prompt's beginning."""
    document = subject.document
    if len(document.text) < MIN_CHARACTERS:
        return
    for first, last, text in windows(document.text, params.window_characters):
        for genre in list(GENRES)[: params.genres]:
            task = TASK.format(genre=genre, question=_question(subject, genre, first, last))
            shown = [prompts.block(document, text, first, last)]
            yield prompts.call(document, METHOD, f"{METHOD}/{first}-{last}/{genre}", Rewrite, shown, task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """The rewrite; its span is what the model was shown."""
    assert isinstance(answer, Rewrite)
    lines, genre = call.id.rsplit("/", 2)[1:]
    first, last = map(int, lines.split("-"))
    yield Draft(_question(subject, genre, first, last), answer.text.strip(), (first, last), (), rewritten=True)


def _question(subject: Subject, genre: str, first: int, last: int) -> str:
    document = subject.document
    what = f"{pages.label(document)} of `{repo_name(document)}`"
    if (first, last) != (1, document.text.removesuffix("\n").count("\n") + 1):
        what = f"lines {first} to {last} of {what}"
    return GENRES[genre].format(what=what)
