"""Method `page_instruction`: one specific instruction per page whose answer is the page (the article's second kind).

A model writes the instruction only; the answer is never retyped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Document, Verdict
from tasks.llm.calls import Call
from tasks.synthesis import pages, prompts
from tasks.synthesis.drafts import Draft, pick, repo_name
from tasks.synthesis.evidence import windows
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "page_instruction"
PROMPT_VERSION: Final = "page_instruction/2026.11.30"

TASK: Final = """\
Write one specific instruction to which {page} of the repository `{repo}`, as a whole, is the perfect answer, such as \
"Walk me through how Fastly is used in `manage-frontend`". It must name the repository and the page's subject."""


PAGE: Final = (
    "Walk me through {topic} in `{repo}`, the way {page} does.",
    "Explain {topic} in `{repo}` as the page {page} documents it.",
    "Give me the full documentation of `{repo}` on {topic} ({page}).",
    "Show me the page {page} of `{repo}`, the one about {topic}.",
    "What is the complete content of {page} in `{repo}` ({topic})?",
    "Take me through the whole {page} page of `{repo}` about {topic}.",
)
PAGE_PART: Final = (
    "Walk me through “{title}” in {page} of `{repo}`.",
    "Explain “{title}” as {page} of `{repo}` documents it.",
    "Give me the whole section “{title}” of {page} in `{repo}`.",
    "Take me through the part “{title}” of the {page} page in `{repo}`.",
)


class Instruction(prompts.Reply):
    """The reply."""

    instruction: str


def applies(subject: Subject) -> bool:
    """Pages only: nobody writes a conversation to order."""
    return subject.is_page and not subject.document.is_conversation


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """One draft whose answer is the page; for a page over the limit one for each section.

    A section that is still over it makes a verdict.
    """
    document = subject.document
    text = document.text.strip("\n")
    if not text.strip():
        yield Verdict(id=document.id, reason="empty-document", detail=METHOD)
        return
    page, repo = pages.label(document), repo_name(document)
    if len(text) <= params.max_answer_characters:
        question = pick(PAGE, document.id, 1)[0].format(topic=f"“{_topic(document)}”", page=page, repo=repo)
        yield _whole(document, question)
        return
    parts = pages.sections(document.text)
    titles = Counter(section.title for section in parts)
    for section in parts:
        identifier = f"{document.id}#L{section.first}"
        if not section.body or titles[section.title] > 1:  # “Fixed” stands below every version
            continue
        if len(section.body) > params.max_answer_characters or not section.title:
            detail = f"{METHOD}: page of {len(text)} characters, section of {len(section.body)}"
            yield Verdict(id=identifier, reason="answer-too-long", detail=detail)
            continue
        question = pick(PAGE_PART, identifier, 1)[0].format(title=section.title, page=page, repo=repo)
        yield Draft(question, section.body, (section.first, section.last), (section.body,))


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call, with the beginning of the page; none for a page over the limit, which the template asks in sections."""
    document = subject.document
    text = document.text.strip("\n")
    if text.strip() and len(text) <= params.max_answer_characters:
        first, last, shown = windows(document.text, params.window_characters)[0]
        task = TASK.format(page=pages.label(document), repo=document.repo)
        blocks = [prompts.block(document, shown, first, last)]
        yield prompts.call(document, METHOD, METHOD, Instruction, blocks, task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """The instruction with the page as its answer."""
    assert isinstance(answer, Instruction)
    yield _whole(subject.document, answer.instruction)


def _whole(document: Document, question: str) -> Draft:
    text = document.text.strip("\n")
    return Draft(question, text, (1, document.text.count("\n") + 1), (text,))


def _topic(document: Document) -> str:
    """What the page is about: its first heading, else its title."""
    titles = [section.title for section in pages.sections(document.text) if section.title]
    return titles[0] if titles else document.title or document.path
