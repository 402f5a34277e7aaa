"""A draft is a question and its answer before curation; what survives becomes a `Dialogue`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from tasks.base.records import Dialogue, Document, Split

T = TypeVar("T")

LONG_ANSWER_CHARACTERS = 600
"""An answer above this is asked for once: repeating it under every wording would train a whole page several times."""


@dataclass(frozen=True)
class Draft:
    """One question with its answer, and the lines of the document (1-based, inclusive) that the answer rests on."""

    question: str
    answer: str
    span: tuple[int, int]
    evidence: tuple[str, ...]
    """Texts that stand in those lines (white space aside) and that the answer consists of or is about."""
    answerable: bool = True
    """False if the right answer is that the document does not say."""
    rewritten: bool = False
    """Whether the answer is a free rewrite, which may have words that the document does not have."""
    source: Document | None = None
    """Where the evidence stands, if not in the document that the question was made from."""
    kind: str = ""
    """What is asked; empty where the method's name says it."""
    rank: int = 0
    """Which wording of its fact it is, from 0."""


def to_dialogue(document: Document, draft: Draft, method: str, version: str, model: str, split: Split) -> Dialogue:
    """The record of a draft. Its id depends on document, method and question only, so an edited answer keeps it."""
    source = draft.source or document
    digest = hashlib.sha256(draft.question.encode()).hexdigest()[:12]
    provenance = {
        "document_id": source.id,
        "revision": source.revision,
        "span": draft.span,
        "prompt_version": version,
        "model": model,
    }
    turns = ({"role": "user", "content": draft.question}, {"role": "assistant", "content": draft.answer})
    # validated as a whole, since one record at a time takes twice as long and a corpus has tens of thousands
    return Dialogue.model_validate(
        {
            "id": f"{source.id}#{method}/{digest}",
            "messages": turns,
            "method": method,
            "kind": draft.kind or method,
            "provenance": provenance,
            "split": split,
        }
    )


def place_of(key: str) -> int:
    """A number that the key alone decides, spread evenly over keys."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def pick(bank: Sequence[T], key: str, number: int) -> list[T]:
    """`number` different entries of a bank, from a place that the key decides: over a corpus all are used alike."""
    start = place_of(key)
    return [bank[(start + offset) % len(bank)] for offset in range(min(number, len(bank)))]


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the indices 0 to count - 1, evenly spaced, ascending, so that late parts of a page get their
    share.
    """
    if wanted >= count:
        return list(range(count))
    return [(2 * place + 1) * count // (2 * wanted) for place in range(wanted)]


def runs_of_lines(text: str, limit: int) -> list[tuple[int, int, str]]:
    """(first line, last line, text) of runs of whole lines of at most `limit` characters.

    A longer line is a run of its own. The runs' texts joined by newlines are the text without its final newline.
    """
    runs: list[tuple[int, int, str]] = []
    held: list[str] = []
    size = 0
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if held and size + len(line) + 1 > limit:
            runs.append((number - len(held), number - 1, "\n".join(held)))
            held, size = [], 0
        size += len(line) + (1 if held else 0)
        held.append(line)
    runs.append((len(lines) - len(held) + 1, len(lines), "\n".join(held)))
    return runs


def repo_name(document: Document) -> str:
    """The repository's name without its owner, as people say it."""
    return document.repo.rsplit("/", 1)[-1]


def month(document: Document) -> str | None:
    """Month and year of the snapshot (`December 2023`), or None if the document does not say."""
    date = document.meta.get("committed_at") or document.updated_at
    return datetime.fromisoformat(date).strftime("%B %Y") if date else None


def fence(text: str) -> str:
    """A Markdown fence longer than any run of backticks in the text."""
    return "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
