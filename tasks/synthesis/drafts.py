"""A draft is a question and its answer before curation; what survives becomes a `Dialogue`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.base.records import Dialogue, Document, Message, Provenance, Split

LONG_ANSWER_CHARACTERS = 600
"""An answer above this is asked for once: repeating it under every wording would train a whole page several times."""


@dataclass(frozen=True)
class Draft:
    """One question with its answer, and the lines of the document (1-based, inclusive) that the answer rests on."""

    question: str
    answer: str
    span: tuple[int, int]
    evidence: tuple[str, ...]
    """Texts that stand verbatim in those lines of the document and that the answer consists of or is about."""


def to_dialogue(document: Document, draft: Draft, method: str, version: str, model: str, split: Split) -> Dialogue:
    """The record of a draft. Its id depends on document, method and question only, so an edited answer keeps it."""
    digest = hashlib.sha256(draft.question.encode()).hexdigest()[:12]
    return Dialogue(
        id=f"{document.id}#{method}/{digest}",
        messages=(Message(role="user", content=draft.question), Message(role="assistant", content=draft.answer)),
        method=method,
        provenance=Provenance(
            document_id=document.id, revision=document.revision, span=draft.span, prompt_version=version, model=model
        ),
        split=split,
    )


def pick(bank: Sequence[str], key: str, number: int) -> list[str]:
    """`number` different entries of a bank, from a place that the key decides, so that over a corpus all are used
    about equally often.
    """
    start = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return [bank[(start + offset) % len(bank)] for offset in range(min(number, len(bank)))]


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the indices 0 to count - 1, evenly spaced and ascending, so that late parts of a page get their
    share.
    """
    if wanted >= count:
        return list(range(count))
    return [(2 * place + 1) * count // (2 * wanted) for place in range(wanted)]


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
