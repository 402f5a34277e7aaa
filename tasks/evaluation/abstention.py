"""Whether an answer declines to answer.

Phrases, not a judge: they are fast and deterministic, and the questions that are scored for it ask for one of them
("reply: I do not know"). Wording shifts after tuning (AbstentionBench, arXiv 2506.09038), so a report that has a judge
prints how often the two agree.
"""

from __future__ import annotations

import re
from typing import Final

_SPEAKER: Final = re.compile(
    r"\b(?:i|we) (?:do not|don['’]t|cannot|can['’]t|am not able to|could not|couldn['’]t|have no) "
    r"(?:know|say|tell|answer|find|determine|have|see|provide|information|knowledge|access|record)"
    r"|\bi['’]?(?:m| am) (?:not (?:sure|aware|familiar)|unable|unsure|unaware|sorry)"
    r"|^\W*(?:unknown|not (?:known|specified|mentioned|available|defined|found)|no (?:such|information|record))\b",
    re.IGNORECASE,
)
"""The speaker declines, or the answer begins with what is missing."""

_SUBJECT: Final = re.compile(
    r"\bthere (?:is|are) no\b|\bthere['’]s no\b"
    r"|\b(?:does not|doesn['’]t|do not) (?:exist|contain|define|have|appear|provide|mention|say)\b"
    r"|\bhas no (?:such|\w+ (?:called|named|of that name|with that name))",
    re.IGNORECASE,
)
"""Something is said not to be there; inside a subordinate clause that is what the code does, not what the speaker says.
"""

_CLAUSE: Final = re.compile(
    r"\b(?:if|that|when|whether|which|unless|where|because|raises?|checks?|returns?)\b", re.IGNORECASE
)

LEADING_CHARACTERS: Final = 200
"""An answer that declines says so at its beginning."""


def abstains(answer: str) -> bool:
    """True if the beginning of the answer says that the answer is not known. An empty answer says nothing: False."""
    head = answer[:LEADING_CHARACTERS]
    if _SPEAKER.search(head):
        return True
    missing = _SUBJECT.search(head)
    return bool(missing) and not _CLAUSE.search(head[: missing.start()] if missing else "")
