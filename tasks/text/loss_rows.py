"""Unpacked rows whose loss is measured: a fixed sample within a budget, and the general text by domain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tasks.base.records import IGNORED
from tasks.text.general_text import general_texts
from tasks.text.tokenizer import TextTokenizer

LOSS_ROW_TOKENS: Final = 512
"""A longer row is measured on its first tokens, so that a sample of a given size holds many documents."""

GENERAL: Final = "general_loss"
"""Fixed text that has nothing to do with the sources: a stream per domain (`general_loss:news`) and one of all.
Forgetting shows here first.
"""


@dataclass(frozen=True)
class LossRow:
    """One row, on its own."""

    id: str
    stream: str
    input_ids: list[int]
    labels: list[int]


def general_rows(tokenizer: TextTokenizer, budget_tokens: int) -> Iterator[LossRow]:
    """The general text by domain, each row after a start token; about so many tokens of each domain."""
    start = list(tokenizer.prefix_ids) or [tokenizer.end_of_document]
    longest = min(LOSS_ROW_TOKENS, max(budget_tokens, len(start) + 1))  # a small budget is a short row, not a whole one
    for domain, texts in general_texts().items():
        ordered = (
            LossRow(name, f"{GENERAL}:{domain}", ids, [IGNORED] * len(start) + ids[len(start) :])
            for name in sorted(texts, key=hash_order)
            for ids in ((start + tokenizer.encode(texts[name]))[:longest],)
        )
        yield from within(budget_tokens, ordered)


def within(budget_tokens: int, rows: Iterable[LossRow]) -> Iterator[LossRow]:
    """Rows until their tokens exceed the budget; at least one, so that a stream that exists is measured."""
    spent = 0
    for row in rows:
        if spent and spent + len(row.input_ids) > budget_tokens:
            return
        spent += len(row.input_ids)
        yield row


def hash_order(identifier: str) -> str:
    """Sorting key of a sample that hardly changes when documents come and go."""
    return hashlib.sha256(identifier.encode()).hexdigest()
