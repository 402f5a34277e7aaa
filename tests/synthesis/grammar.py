"""Finds faults of language in what templates say, by plain patterns: nothing of the room is used."""

from __future__ import annotations

import re

from tasks.base.records import Dialogue

QUOTED_KINDS = frozenset(
    """
    answered-question behaviour changelog changelog-version commits convention decision decision-consequence
    decision-context
    definition file_question list page_instruction page_qa pull purpose reason review section snippet table-cell term
    """.split()  # noqa: SIM905
)
"""Kinds whose answers are in the words of the repository's people."""

_MASKS = (r"```.*?```", r"“[^”]*”", r"`[^`\n]*`")
_FAULTS = {
    "double word": r"(?i)\b(?!(?:that|had|x|n)\b)([a-z]+) \1\b",
    "empty slot": r"``|“”|\(\)|\bNone\b|  |\{|\}| ,| \.(?= |$)|: ?\.|^$",
    "double punctuation": r"(?<![.])\.\.(?![.])|[?!,;:]\.|\.,|,,|\?\?",
    "article": r"\ba (?=[aeio])(?!one\b|once\b)|\ban (?=[bcdfgjkpqtvwxyz])|\bA (?=[aeio])(?!one\b|once\b)",
    "number": r"\b(?:1|one) \w+s (?:are|have)\b|\bone (?:files|functions|points)\b",
    "broken word": r"[a-z]\?[a-z]",
}


def faults(dialogue: Dialogue) -> list[str]:
    """Names of the faults in a dialogue's question and, if the template wrote it, in its answer."""
    found: list[str] = []
    for turn, message in zip(("question", "answer"), dialogue.messages, strict=True):
        if turn == "answer" and dialogue.kind in QUOTED_KINDS:
            continue
        text = message.content.removeprefix(f"{_repo(dialogue)} ")
        found += [
            f"{fault} in the {turn}" for fault in _of(text[:1].upper() + text[1:] if text != message.content else text)
        ]
    question = dialogue.messages[0].content
    if not re.search(r"[.?”:)]$", question):
        found.append("the question has no end")
    return found


def _repo(dialogue: Dialogue) -> str:
    """The repository's name, which may begin a sentence as it is."""
    return re.split(r"/(?:file|pull|wiki)/", dialogue.provenance.document_id)[0].rsplit("/", 1)[-1]


def _of(text: str) -> list[str]:
    found: list[str] = []
    bare = re.sub(_MASKS[0], "CODE", text, flags=re.DOTALL)
    if bare.count("`") % 2:
        found.append("unmatched backtick")
    if bare.count("“") != bare.count("”"):
        found.append("unmatched quote")
    found += [
        f"article before {match[0]}"
        for match in re.finditer(r"\b[Aa] `[AEIOaeio]\w|\b[Aa]n `[BCDGJKPQTVWYZbcdfgjklmnpqrstvwxyz]", bare)
    ]
    found += ["empty slot"] if re.search(r"``|“”", bare) else []
    masked = re.sub(_MASKS[2], "X", re.sub(_MASKS[1], "X", bare, flags=re.DOTALL))
    for line in masked.split("\n"):
        said = re.sub(r"^(- |\d+\. )", "", line)
        found += [name for name, pattern in _FAULTS.items() if said and re.search(pattern, said)]
    if re.match(r"[a-z]+\b(?![`.(])", masked):
        found.append("begins small")
    return found
