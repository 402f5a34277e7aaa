"""Method `page_qa`: question-answer pairs from the text of a page (the article's first kind of dialogue).

The template provider asks about sections, lists, code blocks, links and the sentences that say what something is;
every answer is the page's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.base.records import Document
from tasks.synthesis import pages
from tasks.synthesis.drafts import LONG_ANSWER_CHARACTERS, Draft, fence, pick, repo_name, spread
from tasks.synthesis.pages import Piece, Section
from tasks.synthesis.params import SynthesisParams

METHOD = "page_qa"
PROMPT_VERSION = "page_qa/2026.11.24"

MIN_TEXT_CHARACTERS = 20
"""Shorter sections and sentences say nothing worth a question."""

MAX_SUBJECT_WORDS = 8
"""A longer subject of `X is …` is not a name that a question could ask for."""

SECTION = (
    "What does the {page} page of `{repo}` say about {title}?",
    "In the documentation of `{repo}`, what is written under “{title}” on the {page} page?",
    "What should I know about {title} in `{repo}`, going by {page}?",
    "Tell me what {page} in `{repo}` explains under the heading “{title}”.",
    "I'm reading about {title} in `{repo}`. What does {page} tell me?",
    "Summarise nothing, just quote: what is in the “{title}” section of {page} in `{repo}`?",
    "What information does `{repo}` document about {title} in {page}?",
    "Under “{title}”, what does {page} from `{repo}` state?",
)
SUBJECT = (
    "According to the {page} page of `{repo}`, what is {subject}?",
    "What is {subject} in the context of `{repo}`?",
    "How does {page} in `{repo}` describe {subject}?",
    "In `{repo}`, what does the documentation ({page}) say {subject} is?",
    "Can you explain {subject} as documented in {page} of `{repo}`?",
    "Someone working on `{repo}` asks what {subject} is. What does {page} answer?",
)
LIST = (
    "Which points does {page} of `{repo}` list under “{title}”?",
    "What are the items listed under “{title}” on the {page} page of `{repo}`?",
    "In `{repo}`, {page} has a list under “{title}”. What is on it?",
    "List what {page} in `{repo}` enumerates in its section “{title}”.",
    "Give me the bullet points of the “{title}” section in {page} of `{repo}`.",
)
CODE = (
    "Which code or commands does {page} of `{repo}` show under “{title}”?",
    "What is the snippet in the “{title}” section of {page} in `{repo}`?",
    "Show me the example given under “{title}” in {page} of `{repo}`.",
    "In `{repo}`, what do I have to type or write according to “{title}” in {page}?",
    "What does the code block under “{title}” on the {page} page of `{repo}` contain?",
)
LINK = (
    "Where does the link “{label}” on the {page} page of `{repo}` lead?",
    "Which URL does {page} in `{repo}` give for “{label}”?",
    "In the documentation of `{repo}`, what is the address behind “{label}” in {page}?",
    "I need the link for “{label}” that is mentioned in {page} of `{repo}`.",
    "What web address is “{label}” linked to in {page}, part of `{repo}`?",
)
LINK_ANSWER = (
    "{url}",
    "{url} is where “{label}” links to in {page}.",
    "{page} links “{label}” to {url}.",
    "The address is {url}.",
)
OUTLINE = (
    "Which sections does the {page} page of `{repo}` have?",
    "What topics does {page} in `{repo}` cover?",
    "Give me the outline of {page} from `{repo}`.",
    "What are the headings of {page} in the `{repo}` repository?",
    "How is {page} of `{repo}` organised?",
)
WHERE = (
    "Which page of `{repo}` documents “{title}”?",
    "Where in the documentation of `{repo}` can I read about “{title}”?",
    "I'm looking for the section “{title}” in `{repo}`. Which page has it?",
    "On which page of `{repo}` is there a heading “{title}”?",
    "Which document in `{repo}` has a section called “{title}”?",
)
WHERE_ANSWER = (
    "{page}",
    "{page} has the section “{title}”.",
    "That is in {page}.",
    "“{title}” is a section of {page}.",
)

_SUBJECT = re.compile(
    r"^(?P<subject>(?:The |An? )?[`A-Z][^.!?:;()]{1,70}?) (?:is|are) (?:an? |the |used |responsible )"
)
_PRONOUNS = {"this", "that", "it", "there", "these", "those", "here", "they", "we", "you", "he", "she", "i"}


def template(document: Document, params: SynthesisParams) -> Iterator[Draft]:
    """Drafts about a page in the page's own words, in page order.

    The number of facts asked about grows with the page's length and they are spread over the whole page.
    """
    page, repo = pages.label(document), repo_name(document)
    parts = pages.sections(document.text)
    facts = [fact for section in parts for fact in _facts(section, params.max_answer_characters)]
    titles = [section for section in parts if section.title]
    if len(titles) > 2:
        outline = "\n".join(f"{'  ' * (section.level - 1)}- {section.title}" for section in titles)
        if len(outline) <= params.max_answer_characters:
            span = (titles[0].first, titles[-1].first)
            facts.insert(0, _Fact(OUTLINE, ("{outline}",), span, (titles[0].title,), {"outline": outline}))
    wanted = max(1, round(len(document.text) * params.pairs_per_1000_characters / 1000))
    for index in spread(len(facts), wanted):
        fact = facts[index]
        words = {"page": page, "repo": repo, **fact.words}
        key = f"{document.id} {fact.span} {fact.evidence[0]}"
        long = len(max(fact.words.values(), key=len, default="")) > LONG_ANSWER_CHARACTERS
        questions = pick(fact.questions, key, 1 if long else params.wordings)
        answers = pick(fact.answers, key, len(fact.answers))
        for number, question in enumerate(questions):
            answer = answers[number % len(answers)]
            yield Draft(question.format(**words), answer.format(**words), fact.span, fact.evidence)


class _Fact:
    """Something that a page says, with the banks of wordings that ask for it and give it."""

    def __init__(
        self,
        questions: tuple[str, ...],
        answers: tuple[str, ...],
        span: tuple[int, int],
        evidence: tuple[str, ...],
        words: dict[str, str],
    ) -> None:
        self.questions, self.answers, self.span, self.evidence, self.words = questions, answers, span, evidence, words


def _facts(section: Section, limit: int) -> Iterator[_Fact]:
    """The facts of one section whose answers fit the limit, in the order of its lines as far as their kinds allow."""
    title = section.title
    if title and MIN_TEXT_CHARACTERS <= len(section.body) <= limit:
        span = (section.first, section.last)
        yield _Fact(SECTION, ("{body}",), span, (section.body,), {"title": title, "body": section.body})
    if title and section.level > 1:
        yield _Fact(WHERE, WHERE_ANSWER, (section.first, section.first), (title,), {"title": title})
    for paragraph in pages.prose(section):
        for sentence in pages.sentences(paragraph):
            subject = _SUBJECT.match(sentence.text)
            if subject and _is_name(subject["subject"]) and MIN_TEXT_CHARACTERS <= len(sentence.text) <= limit:
                words = {"subject": _lower_article(subject["subject"]), "sentence": sentence.text}
                yield _Fact(SUBJECT, ("{sentence}",), _lines(sentence), (sentence.text,), words)
    items = pages.list_items(section)
    listing = "\n".join(f"- {item.text}" for item in items)
    if title and len(items) > 1 and len(listing) <= limit:
        span = (items[0].first, items[-1].last)
        yield _Fact(
            LIST, ("{listing}",), span, tuple(item.text for item in items), {"title": title, "listing": listing}
        )
    blocks = pages.code_blocks(section)
    if title and len(blocks) == 1 and len(blocks[0].text) <= limit:  # of several a question could not name one
        mark = fence(blocks[0].text)
        code = f"{mark}{blocks[0].label}\n{blocks[0].text}\n{mark}"
        yield _Fact(CODE, ("{code}",), _lines(blocks[0]), (blocks[0].text,), {"title": title, "code": code})
    for link in pages.links(section):
        if link.label and link.label != link.text:
            yield _Fact(LINK, LINK_ANSWER, _lines(link), (link.text,), {"label": link.label, "url": link.text})


def _is_name(subject: str) -> bool:
    words = subject.split()
    return len(words) <= MAX_SUBJECT_WORDS and words[0].lower() not in _PRONOUNS


def _lower_article(subject: str) -> str:
    return re.sub(r"^(The|An?) ", lambda match: match[0].lower(), subject)


def _lines(piece: Piece) -> tuple[int, int]:
    return (piece.first, piece.last)
