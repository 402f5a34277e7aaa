"""Issues, discussions and other conversations: what was reported, why it was so, what fixed it and in which version,
and answers that the asker accepted or gave thanks for.

Only what people's own sentences, the closing words of merged pull requests and a release's notes say. A guess that
nobody confirmed is no cause: it is taken from closed issues only, and never from whoever reported it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tasks.base.records import NUMBERED, Document, Kind
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.synthesis.facts.pulls import MIN_TITLE_WORDS, sentences
from tasks.text.closing import closed_numbers
from tasks.text.conversations import ACCEPTED, Post, posts_of
from tasks.text.facts import Fact, Shape

MAX_CAUSES: Final = 3
MIN_ANSWER_WORDS: Final = 8
MAX_ANSWER_CHARACTERS: Final = 4_000
MAX_ASKED_CHARACTERS: Final = 1_500
MAX_THANKS_WORDS: Final = 40

_CAUSE: Final = re.compile(
    r"\b(?:caused by|due to|turns out|(?:root )?cause (?:is|was|of)|culprit|happens (?:because|when|if|since)"
    r"|the (?:problem|issue|reason) (?:here )?(?:is|was|seems to be) (?:that|because|caused|due|in|with|how|when))\b"
    r"|^(?!.*\b(?:I|I'm|I'll|clos(?:e|es|ed|ing)|please)\b).*\bbecause\b",
    re.IGNORECASE,
)
"""Of a sentence."""
_VERSION: Final = re.compile(
    r"\b(?:fixed|resolved|released?|shipped|available|landed|included|solved)\b[^.\n?]{0,40}?"
    r"\b(?:in|as|of|with|since)[ \t](?:version[ \t]|release[ \t]|the[ \t])?[*`]{0,2}"
    r"v?(?P<version>\d{1,4}\.\d{1,4}(?:\.\d{1,4})?(?:[a-z]{1,4}\d{1,3})?)\b(?!\.\d)",
    re.IGNORECASE,
)
_WITH_FIX: Final = re.compile(
    r"(?:^|[`*]|\bv)v?(?P<version>\d{1,4}\.\d{1,4}\.\d{1,4})[`*]{0,3}[ \t](?:(?:is|was)[ \t](?:out|released|available)"
    r"|(?:includes|contains|has|with)[ \t](?:the|a)[ \t]fix)",
    re.IGNORECASE | re.MULTILINE,
)
_NOT_FIXED: Final = re.compile(r"\b(?:not|never|no longer|until|before)\b|n't\b", re.IGNORECASE)
_THANKS: Final = re.compile(
    r"\b(?:thanks|thank you|thx|that (?:works|worked|fixed|solved|did)|(?:it )?works now|solved|makes sense|perfect)\b",
    re.IGNORECASE,
)
_UNSOLVED: Final = re.compile(r"\?|\b(?:but|still|however|unfortunately|not work|doesn't|didn't)\b", re.IGNORECASE)
_ASKS: Final = re.compile(r"\s*(?:how|what|why|when|where|which|who|can|could|is|are|does|do|should)\b", re.IGNORECASE)
_NO_ANSWER: Final = re.compile(
    r"\?\s*\Z|\b(?:i'll|i will|we'll|we will|will (?:introduce|add|fix|look|be fixed|release)"
    r"|in the works|looking into)\b",
    re.IGNORECASE,
)
"""A question back, or a promise."""
_GREETING: Final = re.compile(
    r"\A(?:(?:hi|hey|hello|dear|thanks|thank you)\b[^\n.!?,:]{0,60}[.!,:\n]\s{0,4}"
    r"|(?:Person \d{1,4}|\[person\])[,:]?\s{1,4}){1,2}",
    re.IGNORECASE,
)
"""At the beginning of an answer; it is for the asker only."""
_QUOTED: Final = re.compile(r"^>[^\n]*\n?", re.MULTILINE)
_NUMBER: Final = re.compile(r"(?:(?<![\w/])#|/(?:pull|issues)/)(\d{1,9})\b")


@dataclass(frozen=True)
class Told:
    """What an issue's facts need to know of pull requests and releases."""

    closes: frozenset[int]
    """Issues that a merged pull request closes."""
    title: str
    merged: str
    """Date of its merge; empty for a release."""
    number: str
    """`#7`, or a release's name."""
    speaks_of: frozenset[int]
    """Numbers in a release's notes."""


def gather(document: Document) -> Told | None:
    """What a merged pull request closes, or a release's notes name."""
    if document.kind == Kind.RELEASE:
        numbers = frozenset(map(int, _NUMBER.findall(document.text)))
        return Told(frozenset(), document.title, "", document.path, numbers) if numbers else None
    merged = str(document.meta.get("merged_at") or "")[:10]
    if document.kind != Kind.PULL or not merged:
        return None
    said = [document.title, document.text, *(str(one["message"]) for one in document.meta.get("commits") or ())]
    closes = frozenset(number for text in said for number in closed_numbers(text, document.repo, document.url))
    return Told(closes, document.title.strip(), merged, f"#{document.path}", frozenset()) if closes else None


@dataclass(frozen=True)
class Fixes:
    """By (repository, number of an issue or pull request), in stored order: ids and what they tell."""

    pulls: dict[tuple[str, int], list[tuple[str, Told]]]
    releases: dict[tuple[str, int], list[tuple[str, Told]]]


def fixes(corpus: Corpus) -> Fixes:
    """What closes and what releases which issue, of one side."""
    pulls: dict[tuple[str, int], list[tuple[str, Told]]] = {}
    releases: dict[tuple[str, int], list[tuple[str, Told]]] = {}
    for identifier, told in corpus.gathered(FAMILY.name):
        repo = re.split(r"/(?:pull|release)/", identifier)[0]
        for number in told.closes:
            pulls.setdefault((repo, number), []).append((identifier, told))
        for number in told.speaks_of:
            releases.setdefault((repo, number), []).append((identifier, told))
    return Fixes(pulls, releases)


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """Facts of a conversation."""
    if not document.is_conversation or not (posts := posts_of(document.text)):
        return
    if document.kind == Kind.ISSUE:
        yield from _report(document, corpus, posts)
        yield from _fix(document, corpus, posts)
    if (post := answer(document.title, posts)) is not None:
        yield from _answered(document, corpus, posts[0], post)


def _report(document: Document, corpus: Corpus, posts: list[Post]) -> Iterator[Fact]:
    number, title, span = f"#{document.path}", document.title.strip(), _span(posts[0])
    told = sentences(posts[0].text, title)
    closed = str(document.meta.get("closed_at") or "")[:10]
    words = {"gist": told[0] if told else "", "closed": closed, "labels": ", ".join(document.meta.get("labels") or ())}
    yield corpus.fact(document, "issue", number, [title], span, words=words)
    is_told = len(title.split()) >= MIN_TITLE_WORDS
    if is_told:
        yield corpus.fact(document, "issue-number", title, [number], span)
    if told:
        yield corpus.fact(document, "issue-report", title if is_told else number, told, span, shape=Shape.PROSE)
    if document.meta.get("state") != "closed" or document.meta.get("not_planned"):
        return
    for post in posts[1:]:
        causes = [one for one in sentences(post.text, title) if is_causal(one)]
        if causes and post.author != posts[0].author:
            said = causes[:MAX_CAUSES]
            yield corpus.fact(document, "issue-cause", number, said, _span(post), shape=Shape.PROSE)
            return


def _fix(document: Document, corpus: Corpus, posts: list[Post]) -> Iterator[Fact]:
    if document.meta.get("state") != "closed":
        return
    known, number = corpus.once(fixes), int(document.path)
    pulls = known.pulls.get((document.repo, number), [])
    for identifier, told in pulls[:1]:
        words = {"fix": told.title, "merged": told.merged, "fixes": told.number}
        yield corpus.fact(
            document, "issue-fix", f"#{number}", [told.number], (1, 1), words=words, rests_on=[identifier]
        )
    told_by = {number, *(int(told.number[1:]) for _, told in pulls)}
    releases = {release for one in told_by for release in known.releases.get((document.repo, one), ())}
    if len(releases) == 1:
        identifier, release = next(iter(releases))
        yield corpus.fact(document, "issue-version", f"#{number}", [release.number], (1, 1), rests_on=[identifier])
    elif not releases:
        said = [(version, post) for post in posts[1:] for version in fixed_versions(post.text)]
        if len({version for version, _ in said}) == 1:
            yield corpus.fact(document, "issue-version", f"#{number}", [said[0][0]], _span(said[0][1]))


def is_causal(sentence: str) -> bool:
    """Whether a sentence tells a cause, and neither asks for one nor why somebody does something."""
    return _CAUSE.search(sentence) is not None and not sentence.endswith("?")


def fixed_versions(text: str) -> list[str]:
    """Versions in which something is said to be fixed."""
    return [
        match["version"]
        for pattern in (_VERSION, _WITH_FIX)
        for match in pattern.finditer(text)
        if not _NOT_FIXED.search(text, max(0, match.start() - 30), match.end())
    ]


def answer(title: str, posts: list[Post]) -> Post | None:
    """What somebody else answered to a question, and the asker accepted or gave thanks for."""
    asker = posts[0].author
    for post in posts:
        if post.note == ACCEPTED and post.author != asker:
            return post
    if "?" not in title and "?" not in posts[0].text and not _ASKS.match(title):
        return None  # thanks for a promise to build what was wished for
    for number, thanks in enumerate(posts[1:], 1):
        said = _QUOTED.sub("", thanks.text)
        if thanks.author != asker or len(said.split()) > MAX_THANKS_WORDS:
            continue
        if _THANKS.search(said) and not _UNSOLVED.search(said):
            before = posts[number - 1]
            is_answer = len(before.text.split()) >= MIN_ANSWER_WORDS and not _NO_ANSWER.search(before.text)
            return before if before.author != asker and is_answer else None
    return None


def _answered(document: Document, corpus: Corpus, asked: Post, post: Post) -> Iterator[Fact]:
    text = _GREETING.sub("", _QUOTED.sub("", post.text).strip(), count=1).strip()
    if len(text.split()) < MIN_ANSWER_WORDS or len(text) > MAX_ANSWER_CHARACTERS:
        return
    question = next((one for one in sentences(asked.text, document.title) if one.endswith("?")), "")
    detail = asked.text if len(asked.text) <= MAX_ASKED_CHARACTERS else ""
    source = f"{NUMBERED[document.kind]} #{document.path}" if document.kind in NUMBERED else ""
    words = {"asked": question, "detail": detail, "source": source}
    title = " ".join(document.title.split())
    yield corpus.fact(document, "thread-answer", title, [text], _span(post), shape=Shape.PROSE, words=words)


def _span(post: Post) -> tuple[int, int]:
    return post.line, post.line + post.text.count("\n")


FAMILY: Final = Family("threads", facts, gather)
