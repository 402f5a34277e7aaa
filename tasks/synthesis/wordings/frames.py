"""What stands around a question, so that a fact is asked in more ways than its bank has, and as shortly as wished.

A small model that sees a question in one form answers that form and no other: with all trained answers known by heart
(0.07 nats a token), a third of them came when asked in new words (docs/results.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tasks.synthesis.wordings.grammar import Bank, said, usable

OPENERS: Final[Bank] = (
    "Quick question.",
    "I'm new to {repo}.",
    "A question about {repo}.",
    "I'm reading the code of {repo}.",
    "Hi!",
    "I have to explain {repo} to a colleague.",
    "One more about {repo}.",
)
"""Before a question that is asked again."""

ENDINGS: Final[Bank] = (
    "Just the answer, please.",
    "Short answer, please.",
    "Only the answer, nothing else.",
    "No explanation needed.",
    "Answer in a few words.",
    "Keep it short.",
    "Without a sentence around it, please.",
)
"""After a question whose answer is the bare value."""

SHORT_EVERY: Final = 4
"""One question in so many asks for the bare value."""

_SLOT: Final = re.compile(r"\{[^{}]*\}")
_CONDITION: Final = re.compile(r"\{\w+!h\}")
"""A slot that says nothing."""
_LONG: Final = re.compile(r"\n|[.!?]\s|.{160}")
"""What is no bare value: several lines or sentences, or a long one."""


def bare(answers: Sequence[str], words: Mapping[str, str]) -> str:
    """The answer of a bank that says nothing but the value without its full stop, if there is one and it is short."""
    for wording in usable(answers, words):
        shown = _CONDITION.sub("", wording)
        if len(_SLOT.findall(shown)) == 1 and not re.search(r"\w", _SLOT.sub("", shown)):
            value = said(wording.removesuffix("."), words)
            return "" if _LONG.search(value) else value
    return ""


def framed(bank: Sequence[str], words: Mapping[str, str], number: int, start: int) -> Iterator[tuple[str, str]]:
    """`number` different questions, each with the ending that asks for the bare value or without one: first the bank's
    own, then the same after an opener. `start` decides where openers and endings begin.
    """
    for place in range(number):
        again, index = divmod(place, len(bank))
        turn = start + index + again
        opener = f"{said(OPENERS[turn % len(OPENERS)], words)} " if again else ""
        ending = f" {ENDINGS[turn % len(ENDINGS)]}" if (start + place) % SHORT_EVERY == 0 else ""
        yield opener + said(bank[index], words), ending
