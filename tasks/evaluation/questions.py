"""How facts are asked: wordings by kind, none of which any training method uses (tests/evaluation/test_items.py
compares them with the methods' own).

Each kind asks for the shortest answer that can be checked. The same words are used for every arm.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "2026.11.24"
"""Part of each item's `prompt_version`, which reads `<kind>/<VERSION>`."""

QUESTIONS: Final = {
    "location": "Name the file in which {repo} defines `{name}`. Reply with the path only.",
    "arguments": "Which parameters does `{name}` of {repo} take? Reply with their names in order, separated by commas.",
    "purpose": "State in one sentence the job of `{name}` within {repo}.",
    "heading": "Name the document of {repo} that contains a part headed “{name}”. Reply with the path only.",
    "pull-why": "Somebody proposed “{name}” to {repo} as number {number}. Sum up their explanation in one sentence.",
    "pull-file": "Name one file that proposal number {number} (“{name}”) to {repo} touches. Reply with the path only.",
    "pull-number": "Sum up in one sentence why proposal number {number} was made to {repo}.",
    "code": (
        "Below is the beginning of `{name}` from {path} in {repo}. Continue it with the next {lines} lines. "
        "Reply with code only.\n\n```\n{start}\n```"
    ),
    "opening": "Write down the opening {lines} lines of {path} from {repo}, exactly as they are, and nothing else.",
    "cloze": "Finish this sentence the way the documentation of {repo} does: “{start} …”",
    "exists": "Does {repo} have a file `{name}`? Reply yes or no.",
    "link": "Reply with the URL that {repo} gives behind the words “{name}”.",
}

DATED: Final = "Think of {repo} as it was on {date}. "
"""Put before a question of the dated suite."""

OR_UNKNOWN: Final = " If {repo} has nothing of that name, reply: I do not know."
"""Put after both questions of an unanswerable pair."""

OR_NO_PULL: Final = " If {repo} has no proposal of that number, reply: I do not know."
"""Put after both questions of a pair about pull requests."""

AFTER: Final = "Which change did {repo} receive in {later}? If you cannot know, reply: I do not know."
"""Asks about a month after the snapshot."""

CODE_LINES: Final = 4
"""Lines that the code suite asks for."""
