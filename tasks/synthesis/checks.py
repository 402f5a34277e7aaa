"""Deterministic checks of a draft, before any judge: cheap, exact, and they cannot be talked into anything."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from tasks.base.records import Document
from tasks.synthesis import pages
from tasks.synthesis.drafts import Draft, repo_name
from tasks.synthesis.evidence import NOWHERE, source_text

MIN_QUESTION_CHARACTERS: Final = 12
MAX_QUESTION_CHARACTERS: Final = 2_000

_DEICTIC: Final = re.compile(
    r"\b(this|the (above|following|given|provided|current)) "
    r"(file|document|text|page|passage|code|snippet|section|function|class|pull request|repository)\b"
    r"|\bthe (document|text|passage|snippet)\b|\b(mentioned|shown|described) above\b",
    re.IGNORECASE,
)
"""Words that point at something which a person who only has the question does not see."""

_CODE: Final = re.compile(r"`([^`\n]+)`|\b([A-Za-z_$][\w$]*(?:[._/-][\w$]+)*)\b")
_IDENTIFIER: Final = re.compile(r"[a-z][A-Z]|[A-Za-z]_[A-Za-z]|\w/\w+/\w|\w\.\w{2,}")
"""What makes a word an identifier, a path or a file name rather than prose (`and/or` is prose)."""

SCRIPT_FRACTION: Final = 0.02
"""A script counts as the document's if at least this share of its letters is written in it."""

_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)+|\d{2,}")
"""Numbers of two digits and more; smaller ones may count what the document lists."""

STOPWORDS: Final = {
    "en": "the of and to in is that for it with as are this which be from by not",
    "de": "der die das und ist nicht ein eine mit für auf den von zu wird werden sich dem",
    "fr": "le la les des est une dans pour que qui pas sur avec sont par du aux ce",
    "es": "el los las es una para que por con del se como más sus está son al lo",
    "it": "il che di per una con sono del della non si gli come nel alla dei anche più",
    "nl": "het een van en dat niet met voor zijn op te aan wordt deze ook naar bij door",
    "pt": "os um uma para com não é do da em que por mais como dos são ao se",
}
"""Frequent words that decide between languages in Latin script."""

_VOTES: Final = {
    word: [language for language, words in STOPWORDS.items() if word in words.split()]
    for words in STOPWORDS.values()
    for word in words.split()
}


def problem(document: Document, draft: Draft, max_answer_characters: int) -> tuple[str, str] | None:
    """Reason and detail why a draft is rejected, or None.

    Reasons: `empty`, `question-length`, `answer-too-long`, `no-subject`, `answer-in-question`, `not-in-source`
    (evidence), `unknown-identifier`, `unknown-number`, `language`.
    """
    source = draft.source or document
    question, answer = draft.question.strip(), draft.answer.strip()
    if not question or not answer:
        return "empty", ""
    if not MIN_QUESTION_CHARACTERS <= len(question) <= MAX_QUESTION_CHARACTERS:
        return "question-length", f"{len(question)} characters"
    if len(answer) > max_answer_characters:
        return "answer-too-long", f"{len(answer)} characters"
    if missing := subject_problem(document, source, question):
        return "no-subject", missing
    if len(answer) > 3 and answer.lower() in question.lower() and len(answer) > len(question) / 2:
        return "answer-in-question", answer
    if draft.answerable and not draft.rewritten:
        if draft.span == NOWHERE:
            return "not-in-source", _short(" ".join(draft.evidence))
        if missing := missing_evidence(source, draft):
            return "not-in-source", _short(missing)
    if draft.answerable:
        places = (source_text(source), source.path, source.repo, document.path, document.title)
        for name in identifiers(question):
            if not _known(name, (*places, source_text(document))):
                return "unknown-identifier", name
        for name in identifiers(answer):
            if not _known(name, (*places, question)):
                return "unknown-identifier", name
        for number in _NUMBER.findall(answer):
            if number not in source_text(source) and number not in question and number not in document.path:
                return "unknown-number", number
    if found := language_problem(source, draft):
        return "language", found
    return None


def missing_evidence(source: Document, draft: Draft) -> str:
    """The first piece of evidence that the span's lines (or, of a pull request, the whole of it) do not have."""
    squeezed = _squeezed(source_text(source), None if source.kind == "pull" else draft.span)
    return next((piece for piece in draft.evidence if " ".join(piece.split()) not in squeezed), "")


@lru_cache(maxsize=64)
def _squeezed(text: str, lines: tuple[int, int] | None) -> str:
    """Lines of a text with single spaces; remembered, because a fact has several wordings."""
    return " ".join((text if lines is None else "\n".join(_lines(text)[lines[0] - 1 : lines[1]])).split())


@lru_cache(maxsize=2)
def _lines(text: str) -> list[str]:
    return text.split("\n")


def subject_problem(document: Document, source: Document, question: str) -> str:
    """Why a question does not say what it is about; empty if it does.

    It must name the repository, the path, the file, the title, a heading, or an identifier of the document, and must
    not point at what only the writer saw.
    """
    if pointing := _DEICTIC.search(question):
        return pointing[0]
    lower = question.lower()
    names = {repo_name(document), document.path, PurePosixPath(document.path).name, document.title}
    if any(name and name.lower() in lower for name in names):
        return ""
    if any(name in source_text(source) for name in identifiers(question)):
        return ""
    titles = [section.title for section in pages.sections(document.text) if len(section.title) > 3]
    if document.kind == "wiki" and any(title.lower() in lower for title in titles):
        return ""
    return "names nothing of the document"


def identifiers(text: str) -> list[str]:
    """Identifiers, paths and file names in a text: what stands in backticks, and words that only code has."""
    found: list[str] = []
    for match in _CODE.finditer(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        word = (match[1] or match[2]).strip()
        if match[1] or _IDENTIFIER.search(word):
            found.append(word)
    return list(dict.fromkeys(found))


def _known(name: str, places: Sequence[str]) -> bool:
    """Whether an identifier, or what is called in it, stands in one of the texts."""
    squeezed = " ".join(name.split())
    if any(squeezed in place for place in places):
        return True
    bare = squeezed.rstrip("()").split("(")[0]
    return any(bare in place or squeezed in " ".join(place.split()) for place in places)


def language_problem(source: Document, draft: Draft) -> str:
    """Why question or answer are in another language than the document; empty where that cannot be told."""
    text = source_text(source)
    asked, known = scripts(draft.question), scripts(text)
    if asked and known and known[asked.most_common(1)[0][0]] < SCRIPT_FRACTION * known.total():
        return f"{asked.most_common(1)[0][0]} letters"
    spoken, written = language(draft.answer), language(text)
    return f"{spoken}, document {written}" if spoken and written and spoken != written else ""


def language(text: str) -> str | None:
    """The language of a text by its frequent words, or None if too few speak clearly for one."""
    votes: Counter[str] = Counter()
    for word in re.findall(r"[^\W\d_]+", text.lower())[:2000]:
        votes.update(_VOTES.get(word, ()))
    ranked = votes.most_common(2)
    if not ranked or ranked[0][1] < 5 or (len(ranked) > 1 and ranked[0][1] < 2 * ranked[1][1]):
        return None
    return ranked[0][0]


def scripts(text: str) -> Counter[str]:
    """Letters by script: the first word of their Unicode names, the three Japanese ones as one."""
    found = Counter(unicodedata.name(char, "?").split()[0] for char in text[:4000] if char.isalpha())
    for kana in ("HIRAGANA", "KATAKANA"):
        found["CJK"] += found.pop(kana, 0)
    return +found


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "…"
