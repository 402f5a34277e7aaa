"""Method `page_qa`: question-answer pairs from the text of a page (the article's first kind of dialogue).

The template provider asks about sections, lists, code blocks, links and the sentences that say what something is;
every answer is the page's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Verdict
from tasks.llm.calls import Call
from tasks.synthesis import pages, prompts
from tasks.synthesis.banked import Fact, drafts_of
from tasks.synthesis.drafts import Draft, fence
from tasks.synthesis.evidence import quoted, windows
from tasks.synthesis.methods import Subject
from tasks.synthesis.page_wordings import (
    CODE,
    LINK,
    LINK_ANSWER,
    LIST,
    OUTLINE,
    SECTION,
    SUBJECT,
    WHERE,
    WHERE_ANSWER,
)
from tasks.synthesis.pages import Piece, Section
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "page_qa"
PROMPT_VERSION: Final = "page_qa/2026.11.24"

TASK: Final = """\
Write up to {number} question-answer pairs about {page} of the repository `{repo}`, spread over the whole text shown. \
Ask what a colleague would ask: what something is, how and why it is done, which value, command, name or place. \
Give with each pair as evidence the sentence or line of the document that proves the answer, copied word for word."""

MIN_TEXT_CHARACTERS: Final = 20
"""Shorter sections and sentences say nothing worth a question."""

MAX_SUBJECT_WORDS: Final = 8
"""A longer subject of `X is …` is not a name that a question could ask for."""

_SUBJECT = re.compile(
    r"^(?P<subject>(?:The |An? )?[`A-Z][^.!?:;()]{1,70}?) (?:is|are) (?:an? |the |used |responsible )"
)
_PRONOUNS = {"this", "that", "it", "there", "these", "those", "here", "they", "we", "you", "he", "she", "i"}


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


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """Drafts about a page in the page's own words; their number grows with its length, spread over all of it."""
    document = subject.document
    parts = pages.sections(document.text)
    facts = [fact for section in parts for fact in _facts(subject, section, params.max_answer_characters)]
    titles = [section for section in parts if section.title]
    outline = "\n".join(f"{'  ' * (section.level - 1)}- {section.title}" for section in titles)
    if len(titles) > 2 and len(outline) <= params.max_answer_characters:
        span = (titles[0].first, titles[-1].first)
        evidence = tuple(section.title for section in titles)
        facts.insert(0, Fact(OUTLINE, ("{outline}",), span, evidence, {"outline": outline}))
    yield from drafts_of(document, facts, params, {"page": pages.label(document)})


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


def _facts(subject: Subject, section: Section, limit: int) -> Iterator[Fact]:
    """The facts of one section whose answers fit the limit, in the order of its lines as far as their kinds allow."""
    title = section.title
    if title and MIN_TEXT_CHARACTERS <= len(section.body) <= limit:
        span = (section.first, section.last)
        yield Fact(SECTION, ("{body}",), span, (section.body,), {"title": title, "body": section.body})
    if title and section.level > 1 and subject.index.is_unique_title(subject.document.repo, title):
        yield Fact(WHERE, WHERE_ANSWER, (section.first, section.first), (title,), {"title": title})
    for paragraph in pages.prose(section):
        for sentence in pages.sentences(paragraph):
            name = _SUBJECT.match(sentence.text)
            if name and _is_name(name["subject"]) and MIN_TEXT_CHARACTERS <= len(sentence.text) <= limit:
                words = {"subject": _lower_article(name["subject"]), "sentence": sentence.text}
                yield Fact(SUBJECT, ("{sentence}",), _lines(sentence), (sentence.text,), words)
    items = pages.list_items(section)
    listing = "\n".join(f"- {item.text}" for item in items)
    if title and len(items) > 1 and len(listing) <= limit:
        span = (items[0].first, items[-1].last)
        yield Fact(LIST, ("{listing}",), span, tuple(item.text for item in items), {"title": title, "listing": listing})
    blocks = pages.code_blocks(section)
    if title and len(blocks) == 1 and len(blocks[0].text) <= limit:  # of several a question could not name one
        mark = fence(blocks[0].text)
        code = f"{mark}{blocks[0].label}\n{blocks[0].text}\n{mark}"
        yield Fact(CODE, ("{code}",), _lines(blocks[0]), (blocks[0].text,), {"title": title, "code": code})
    for link in pages.links(section):
        if link.label and link.label != link.text:
            yield Fact(LINK, LINK_ANSWER, _lines(link), (link.text,), {"label": link.label, "url": link.text})


def _is_name(subject: str) -> bool:
    words = subject.split()
    return len(words) <= MAX_SUBJECT_WORDS and words[0].lower() not in _PRONOUNS


def _lower_article(subject: str) -> str:
    return re.sub(r"^(The|An?) ", lambda match: match[0].lower(), subject)


def _lines(piece: Piece) -> tuple[int, int]:
    return (piece.first, piece.last)
