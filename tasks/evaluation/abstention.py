"""Whether an answer declines to answer.

Phrases, not a judge: they are fast and deterministic, and the questions that are scored for it ask for one of them
("reply: I do not know"). Wording shifts after tuning (AbstentionBench, arXiv 2506.09038), so a report that has a
judge prints how often the two agree.
"""

from __future__ import annotations

import re
from typing import Final

_DECLINES: Final = re.compile(
    r"\b(?:i|we) (?:do not|don['’]t|cannot|can['’]t|am not able to|could not|couldn['’]t|have no) "
    r"(?:know|say|tell|answer|find|determine|have|see|provide|information|knowledge|access|record)"
    r"|\bi['’]?(?:m| am) (?:not (?:sure|aware|familiar)|unable|unsure|unaware|sorry)"
    r"|\b(?:there is|there['’]s|there are) no (?:such|\w+ (?:called|named|of that name|with that name))"
    r"|\b(?:does not|doesn['’]t|do not|did not) (?:exist|contain|define|have|appear|provide|mention)"
    r"|\bno (?:such|information|record|knowledge|mention)\b"
    r"|\b(?:unknown|not (?:known|specified|mentioned|available|defined|found))\b",
    re.IGNORECASE,
)

LEADING_CHARACTERS: Final = 200
"""An answer that declines says so at its beginning; "does not exist" deep in a long answer is about something else."""


def abstains(answer: str) -> bool:
    """True if the beginning of the answer says that the answer is not known. An empty answer says nothing: False."""
    return bool(_DECLINES.search(answer[:LEADING_CHARACTERS]))
