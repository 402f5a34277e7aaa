"""Deterministic checks of what a model wrote about a material: whatever fails one costs a verdict, not the run."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from tasks.base.records import Document, Kind
from tasks.synthesis.checks import STOPWORDS, identifiers, problem
from tasks.synthesis.drafts import Draft
from tasks.synthesis.study.materials import Material
from tasks.synthesis.study.prompts import NOT_SAID, answered
from tasks.synthesis.study.written import Said, Turn
from tasks.synthesis.study_params import Manner
from tasks.text.ngrams import words

AGREEING: Final = 0.4
"""F1 of the content words of two answers from which they say the same; a guess of ours."""
KNOWN: Final = 0.5
"""The same of an answer and one without the material from which the model knows it already; a guess of ours."""
CIRCLE_WORDS: Final = 6
CIRCLES: Final = 3
"""An answer that says so many words so often runs in circles."""
COVERED: Final = 0.3
"""Share of an answer's content words that the lines it names must have, where it has no name and no number."""

_EXCERPT: Final = re.compile(
    r"\blines? \d|\b(?:the|this|these) (?:snippet|excerpt|passage|lines?)\b"
    r"|\b(?:code|text|document|file|page) (?:above|below|shown|provided|given)\b"
    r"|\b(?:shown|mentioned|described|given|provided) (?:above|below)\b"
    r"|\b(?:above|provided|given) (?:snippet|excerpt|passage|lines?|code|text|document|file|page|context)\b",
    re.IGNORECASE,
)
"""What is about the excerpt rather than the thing."""

_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_AGREES: Final = re.compile(r"\W*(yes|correct|exactly|indeed|that(?:'s| is) (?:right|correct|true)|right)\b", re.I)
_FREQUENT: Final = frozenset(word for listed in STOPWORDS.values() for word in listed.split())


def turn_problem(material: Material, manner: Manner, asked: str, turn: Turn, most: int) -> tuple[str, str] | None:
    """Reason and detail why a turn is rejected, or None.

    Reasons: `cut-at-limit`, `not-said`, `no-lines`, `lines-not-shown`, `runs-in-circles`, `about-the-excerpt`,
    `confirms-the-error`, those of `tasks.synthesis.checks`, `lines-say-otherwise`, `answers-disagree`.

    Args:
        material: what the model was shown.
        manner: of the question.
        asked: the questions of the dialogue up to this one, since a later one need not name its subject again.
        turn: question and answers.
        most: characters of an answer.
    """
    if not turn.answer.finished:
        return "cut-at-limit", ""
    body, lines = answered(turn.answer.text)
    if NOT_SAID.lower() in body.lower():
        return "not-said", ""
    if circle := circled(body):
        return "runs-in-circles", circle
    if not lines:
        return "no-lines", ""
    shown = material.lines
    if lines[-1] > len(shown) or lines[0] < 1 or not any(shown[number - 1].strip() for number in lines):
        return "lines-not-shown", f"{lines[0]}-{lines[-1]} of {len(shown)}"
    if found := _EXCERPT.search(body) or _EXCERPT.search(turn.question):
        return "about-the-excerpt", found[0]
    if manner is Manner.MISUNDERSTANDING and _AGREES.match(body):
        return "confirms-the-error", body.split("\n")[0]
    draft = Draft(asked, body, (lines[0], lines[-1]), ())
    if rejected := problem(as_document(material), draft, most):
        return rejected
    if not supported(body, turn.question, "\n".join(shown[number - 1] for number in lines)):
        return "lines-say-otherwise", f"{lines[0]}-{lines[-1]}"
    if reason := disagreement(body, turn.again):
        return "answers-disagree", reason
    return None


def as_document(material: Material) -> Document:
    """The material as the document that questions must name and answers must rest on."""
    name = material.name.strip("`“”")
    return Document(
        id=material.id, kind=Kind.FILE, repo=material.repo, revision="", path=name, title=name, url=None,
        text=material.text, created_at=None, updated_at=None,
    )  # fmt: skip


def circled(text: str) -> str:
    """Words that a text says over and over; empty if it does not."""
    said = words(text)
    runs = Counter(tuple(said[start : start + CIRCLE_WORDS]) for start in range(len(said) - CIRCLE_WORDS + 1))
    most = runs.most_common(1)
    return " ".join(most[0][0]) if most and most[0][1] >= CIRCLES else ""


def supported(answer: str, question: str, cited: str) -> bool:
    """Whether the lines that an answer names speak of what it says: one of its names or numbers that the question does
    not give, or a good part of its words.
    """
    told = particulars(answer) - particulars(question)
    if told:
        return any(one in cited for one in told)
    said = content(answer)
    return bool(said) and sum(word in content(cited) for word in said) >= COVERED * len(said)


def disagreement(answer: str, again: Said) -> str:
    """Why a second answer does not say the same; empty if it does.

    Two answers agree if they share enough words, and neither has numbers that are all others than the other's.
    """
    second, _ = answered(again.text)
    if not again.finished:
        return "the second is cut at the limit"
    if NOT_SAID.lower() in second.lower():
        return "the second says that it is not said"
    ours, theirs = set(_NUMBER.findall(answer)), set(_NUMBER.findall(second))
    if ours and theirs and not ours & theirs:
        return f"{', '.join(sorted(ours))} and {', '.join(sorted(theirs))}"
    alike = likeness(answer, second)
    return "" if alike >= AGREEING else f"likeness {alike:.2f}"


def is_known(turn: Turn) -> bool:
    """Whether the model answered the same without the material, with every name and number: nothing to learn."""
    body, _ = answered(turn.answer.text)
    told = particulars(body) - particulars(turn.question)
    closed = turn.closed.text
    return turn.closed.finished and likeness(body, closed) >= KNOWN and all(one in closed for one in told)


def likeness(first: str, second: str) -> float:
    """F1 of the content words of two texts, each counted as often as it stands there; 0 to 1."""
    ours, theirs = Counter(content(first)), Counter(content(second))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def content(text: str) -> list[str]:
    """The words of a text, without frequent ones and single letters."""
    return [word for word in words(text) if word not in _FREQUENT and not (len(word) == 1 and word.isalpha())]


def particulars(text: str) -> frozenset[str]:
    """Names, paths and numbers in a text."""
    return frozenset([*(one.rstrip("()") for one in identifiers(text)), *_NUMBER.findall(text)])
