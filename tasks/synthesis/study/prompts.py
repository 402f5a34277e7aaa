"""How a model is asked for study material, and how its plain lines are read.

First it lists what is worth asking, then it answers with the numbered lines before it (self-study: Active Reading,
arXiv 2508.09494; Cartridges, arXiv 2506.06266). Lines of text in place of JSON, and numbers of lines in place of
quotes, since small models keep to neither schema nor wording. The lines come first and the task last, so that all
prompts about a material share a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tasks.base.records import Message
from tasks.synthesis.study.materials import Material
from tasks.synthesis.study_params import Manner

PROMPT_VERSION: Final = "study/2026.11.30"

TURNS: Final = 3
"""Most turns of a conversation."""

NOT_SAID: Final = "NOT SAID"

LISTING: Final = """\
Write {number} questions about {name}, one on each line, and nothing else. {manner} Each question must be clear to \
somebody who does not see the lines above: it names {name} or something that is named there, and never speaks of \
lines, an excerpt or "above"."""

MANNERS: Final = {
    Manner.SUMMARY: "Ask what it is, what it is for and what it consists of.",
    Manner.HOW: "Ask how something in it works, step by step.",
    Manner.WHY: "Ask why something in it is done, or done in this way.",
    Manner.WHAT_IF: "Ask what happens if something changes, fails, is missing or is given another value.",
    Manner.HOW_TO: "Ask how somebody uses it, configures it, extends it or finds a fault in it.",
    Manner.COMPARISON: "Ask for the difference between two things that are named in it.",
    Manner.CONVERSATION: "They are what one person asks one after the other: each goes on from the answer before.",
    Manner.MISUNDERSTANDING: 'Each says a wrong belief about it and asks whether it is right: "…, isn\'t it?"',
}

ANSWERING: Final = """\
Answer the question from the lines above alone. Keep names, paths and numbers exactly as they are written there. Speak \
of {name} itself, never of lines or of an excerpt. If the lines do not answer it, write only {not_said}. After the \
answer write, on a line of its own, the numbers of the lines that it rests on, such as "Lines: 3-7".

Question: {question}"""

CORRECTING: Final = "Say first that the belief is wrong, then what is right.\n\n"

_BULLET: Final = re.compile(r"(?:[-*•]|\(?\d{1,4}[.):]|[Qq](?:uestion)?[ \t]{0,4}\d{0,4}[ \t]{0,4}[:.])?")
_LINES: Final = re.compile(
    r"^[\s*_(\[`>-]{0,20}lines?[\s*_`]{0,8}[:#]?[\s*_`]{0,8}(\d{1,7}(?:[\s,;–—-]|\bto\b|\band\b|\d){0,200})"
    r"[ \t.*_)\]`]{0,20}$",
    re.I | re.M,
)
_RANGE: Final = re.compile(r"(\d+)\s*(?:[–—-]|\bto\b)\s*(\d+)|(\d+)")
_FRAME: Final = re.compile(r"^\s*(?:\*\*)?answer(?:\*\*)?\s*:(?:\*\*)?\s*", re.I)


def listing(material: Material, manner: Manner) -> tuple[Message, ...]:
    """Asks what is worth asking in a manner."""
    number = TURNS if manner is Manner.CONVERSATION else material.questions
    task = LISTING.format(number=number, name=material.name, manner=MANNERS[manner])
    return (Message(role="user", content=f"{shown(material)}\n\n{task}"),)


def listed(text: str, most: int) -> list[str]:
    """The questions of a list, without numbers and bullets: lines that end with a question mark, each once."""
    found = [_BULLET.sub("", line.strip(), count=1).strip('"“”*` \t') for line in text.split("\n")]
    return list(dict.fromkeys(one for one in found if one.endswith("?")))[:most]


def answering(
    material: Material, manner: Manner, questions: Sequence[str], answers: Sequence[str]
) -> tuple[Message, ...]:
    """Asks the last question with the material before it.

    Args:
        material: what is shown.
        manner: of the questions.
        questions: of the dialogue so far, the open one last.
        answers: to those before, as the model wrote them, the numbers of their lines included.
    """
    task = ANSWERING.format(name=material.name, not_said=NOT_SAID, question=questions[0])
    if manner is Manner.MISUNDERSTANDING:
        task = CORRECTING + task
    return _turns([f"{shown(material)}\n\n{task}", *questions[1:]], answers)


def closed_book(questions: Sequence[str], answers: Sequence[str]) -> tuple[Message, ...]:
    """Asks the last question as a user will, without the material; what was answered before stands there."""
    return _turns(questions, answers)


def shown(material: Material) -> str:
    """The material with the numbers of its lines."""
    numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(material.lines, 1))
    return f"The lines of {material.about}, each after its number:\n\n{numbered}"


def answered(text: str) -> tuple[str, tuple[int, ...] | None]:
    """An answer without what names its lines, and those lines, ascending; null where it names none."""
    found = list(_LINES.finditer(text))
    body = _FRAME.sub("", (text[: found[0].start()] if found else text).strip()).strip()
    if not found:
        return body, None
    numbers: set[int] = set()
    for first, last, single in _RANGE.findall(found[0][1]):
        begin, end = (int(single), int(single)) if single else (int(first), int(last))
        numbers.update(range(begin, min(end, begin + 10_000) + 1))
    return body, tuple(sorted(numbers))


def _turns(questions: Sequence[str], answers: Sequence[str]) -> tuple[Message, ...]:
    turns: list[Message] = []
    for place, question in enumerate(questions):
        turns.append(Message(role="user", content=question))
        if place < len(answers):
            turns.append(Message(role="assistant", content=answers[place]))
    return tuple(turns)
