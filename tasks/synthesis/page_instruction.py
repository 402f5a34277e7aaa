"""Method `page_instruction`: one specific instruction per page whose answer is the page (the article's second kind of
dialogue).
"""

from __future__ import annotations

from collections.abc import Iterator

from tasks.base.records import Document, Verdict
from tasks.synthesis import pages
from tasks.synthesis.drafts import Draft, pick, repo_name
from tasks.synthesis.params import SynthesisParams

METHOD = "page_instruction"
PROMPT_VERSION = "page_instruction/2026.11.24"

PAGE = (
    "Walk me through {topic} in `{repo}`, the way {page} does.",
    "Explain {topic} in `{repo}` as the page {page} documents it.",
    "Give me the full documentation of `{repo}` on {topic} ({page}).",
    "Show me the page {page} of `{repo}`, the one about {topic}.",
    "What is the complete content of {page} in `{repo}` ({topic})?",
    "Take me through the whole {page} page of `{repo}` about {topic}.",
)
SECTION = (
    "Walk me through “{title}” in {page} of `{repo}`.",
    "Explain “{title}” as {page} of `{repo}` documents it.",
    "Give me the whole section “{title}” of {page} in `{repo}`.",
    "Take me through the part “{title}” of the {page} page in `{repo}`.",
)


def template(document: Document, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """One draft whose answer is the page; for a page over the limit one per section, and a verdict for each section
    that is still over it.
    """
    text = document.text.strip("\n")
    if not text.strip():
        yield Verdict(id=document.id, reason="empty-document", detail=METHOD)
        return
    page, repo = pages.label(document), repo_name(document)
    if len(text) <= params.max_answer_characters:
        question = pick(PAGE, document.id, 1)[0].format(topic=topic(document), page=page, repo=repo)
        yield Draft(question, text, (1, document.text.count("\n") + 1), (text,))
        return
    for section in pages.sections(document.text):
        identifier = f"{document.id}#L{section.first}"
        if not section.title or not section.body:
            continue
        if len(section.body) > params.max_answer_characters:
            detail = f"{METHOD}: section of {len(section.body)} characters"
            yield Verdict(id=identifier, reason="answer-too-long", detail=detail)
            continue
        question = pick(SECTION, identifier, 1)[0].format(title=section.title, page=page, repo=repo)
        yield Draft(question, section.body, (section.first, section.last), (section.body,))


def topic(document: Document) -> str:
    """What the page is about: its first heading, else its title."""
    titles = [section.title for section in pages.sections(document.text) if section.title]
    return titles[0] if titles else document.title or document.path
