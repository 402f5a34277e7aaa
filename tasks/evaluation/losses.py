"""Which rows an arm's loss is measured on, and the mean per stream.

The article notes that its evaluation loss changes with the evaluation batch size: a mean of batch means weighs a
token by the length of its batch. Here the loss of every row is summed over its tokens and divided once, over all
tokens of a stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tasks.base.records import IGNORED, Chunk, Dialogue
from tasks.evaluation.general_text import general_texts
from tasks.text.chat import render_dialogue
from tasks.text.tokenizer import TextTokenizer

LOSS_ROW_TOKENS: Final = 512
"""A longer row is measured on its first tokens, so that a sample of a given size holds many documents."""

GENERAL: Final = "general_loss"
"""Fixed text that has nothing to do with the sources: a stream per domain (`general_loss:news`) and one of all.
Forgetting shows here first.
"""
FIRST: Final = "general_first_64"
"""The first tokens of that text, after the start token: what a model that has lost its footing gets wrong first."""
FIRST_TOKENS: Final = 64
GENERAL_PART: Final = 3
"""A domain has this part of a stream's tokens."""


@dataclass(frozen=True)
class LossRow:
    """One unpacked row whose loss is measured."""

    id: str
    stream: str
    input_ids: list[int]
    labels: list[int]


def loss_rows(
    tokenizer: TextTokenizer, chunks: Iterable[Chunk], dialogues: Iterable[Dialogue], budget_tokens: int
) -> Iterator[LossRow]:
    """A fixed sample per stream: `answers_train`, `answers_held_out`, `raw_train`, `raw_held_out`, the general text's.

    Rows are taken in the order of a hash of their ids until the budget is spent, so a sample hardly changes when
    documents come and go.
    """
    streams: dict[str, dict[str, Chunk | Dialogue]] = {}
    for chunk in chunks:
        streams.setdefault(f"raw_{chunk.split}", {})[chunk.id] = chunk
    for dialogue in dialogues:
        streams.setdefault(f"answers_{dialogue.split}", {})[dialogue.id] = dialogue
    for stream, records in sorted(streams.items()):
        ordered = (_row(tokenizer, stream, records[name]) for name in sorted(records, key=_order))
        yield from _within(budget_tokens, ordered)
    yield from general_rows(tokenizer, budget_tokens // GENERAL_PART)


def general_rows(tokenizer: TextTokenizer, budget_tokens: int) -> Iterator[LossRow]:
    """The general text by domain, each row after a start token, and the first tokens of the same rows as a stream."""
    start = list(tokenizer.prefix_ids) or [tokenizer.end_of_document]
    longest = min(LOSS_ROW_TOKENS, max(budget_tokens, len(start) + 1))  # a small budget is a short row, not a whole one
    for domain, texts in general_texts().items():
        ordered = (
            LossRow(name, f"{GENERAL}:{domain}", ids, [IGNORED] * len(start) + ids[len(start) :])
            for name in sorted(texts, key=_order)
            for ids in ((start + tokenizer.encode(texts[name]))[:longest],)
        )
        for row in _within(budget_tokens, ordered):
            first = slice(0, len(start) + FIRST_TOKENS)
            yield row
            yield LossRow(f"{row.id}:first", FIRST, row.input_ids[first], row.labels[first])


def stream_losses(rows: Sequence[LossRow], measured: Sequence[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Stream → `loss` (nats per token, over all its tokens), `tokens`, `rows` (ids).

    Rows without a stream are left out; the domains of the general text are also a stream together.

    Args:
        rows: what was measured.
        measured: `nats` and `tokens` of each row, in the same order.
    """
    streams: dict[str, list[tuple[LossRow, dict[str, float]]]] = {}
    for row, found in zip(rows, measured, strict=True):
        if row.stream:
            streams.setdefault(row.stream, []).append((row, found))
    for stream, pairs in list(streams.items()):
        if stream.startswith(f"{GENERAL}:"):
            streams.setdefault(GENERAL, []).extend(pairs)
    result = {}
    for stream, pairs in sorted(streams.items()):
        tokens = sum(found["tokens"] for _, found in pairs)
        if tokens:
            nats = sum(found["nats"] for _, found in pairs)
            result[stream] = {"loss": nats / tokens, "tokens": int(tokens), "rows": [row.id for row, _ in pairs]}
    return result


def _row(tokenizer: TextTokenizer, stream: str, record: Chunk | Dialogue) -> LossRow:
    if isinstance(record, Chunk):
        return _raw_row(tokenizer, record.id, stream, record.header + record.text)
    ids, labels = render_dialogue(tokenizer, record.messages)
    return LossRow(record.id, stream, ids[:LOSS_ROW_TOKENS], labels[:LOSS_ROW_TOKENS])


def _raw_row(tokenizer: TextTokenizer, name: str, stream: str, text: str) -> LossRow:
    ids = tokenizer.encode(text)[:LOSS_ROW_TOKENS]
    return LossRow(name, stream, ids, list(ids))


def _within(budget_tokens: int, rows: Iterable[LossRow]) -> Iterator[LossRow]:
    """Rows until their tokens exceed the budget; at least one, so that a stream that exists is measured."""
    spent = 0
    for row in rows:
        if spent and spent + len(row.input_ids) > budget_tokens:
            return
        spent += len(row.input_ids)
        yield row


def _order(identifier: str) -> str:
    return hashlib.sha256(identifier.encode()).hexdigest()
