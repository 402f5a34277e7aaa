"""Which rows an arm's loss is measured on, and the mean per stream.

The article notes that its evaluation loss changes with the evaluation batch size: a mean of batch means weighs a token
by the length of its batch. Here the loss of every row is summed over its tokens and divided once, over all tokens of a
stream.

Rows of held-out documents, whose loss a search measures during training, are the same sample as an arm's, so the
figures can be compared: `rows.jsonl` with `id`, `stream` (`answers_held_out`, `raw_held_out`), `input_ids`, `labels`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import IGNORED, Chunk, Dialogue, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.evaluation.params import LossParams
from tasks.text.chat import render_dialogue
from tasks.text.loss_rows import GENERAL, LOSS_ROW_TOKENS, LossRow, general_rows, hash_order, within
from tasks.text.tokenizer import TextTokenizer

VERSION = "2026.11.24"

FIRST: Final = "general_first_64"
"""The first tokens of that text, after the start token: what a model that has lost its footing gets wrong first."""
FIRST_TOKENS: Final = 64
GENERAL_PART: Final = 3
"""A domain has this part of a stream's tokens."""


def loss_rows(
    tokenizer: TextTokenizer, chunks: Iterable[Chunk], dialogues: Iterable[Dialogue], budget_tokens: int
) -> Iterator[LossRow]:
    """A fixed sample per stream: answers and raw text of both sides of the split, and the general text.

    The streams are `answers_train`, `answers_held_out`, `raw_train`, `raw_held_out` and those of the general text.

    Rows are taken in the order of a hash of their ids until the budget is spent, so a sample hardly changes when
    documents come and go.
    """
    streams: dict[str, dict[str, Chunk | Dialogue]] = {}
    for chunk in chunks:
        streams.setdefault(f"raw_{chunk.split}", {})[chunk.id] = chunk
    for dialogue in dialogues:
        streams.setdefault(f"answers_{dialogue.split}", {})[dialogue.id] = dialogue
    for stream, records in sorted(streams.items()):
        ordered = (_row(tokenizer, stream, records[name]) for name in sorted(records, key=hash_order))
        yield from within(budget_tokens, ordered)
    for row in general_rows(tokenizer, budget_tokens // GENERAL_PART):
        yield from with_first(row)


def with_first(row: LossRow) -> Iterator[LossRow]:
    """A row of general text, and its first tokens as a row of a stream of their own."""
    masked = sum(label == IGNORED for label in row.labels)
    first = slice(0, masked + FIRST_TOKENS)
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
    for row, loss in zip(rows, measured, strict=True):
        if row.stream:
            streams.setdefault(row.stream, []).append((row, loss))
    for stream, pairs in list(streams.items()):
        if stream.startswith(f"{GENERAL}:"):
            streams.setdefault(GENERAL, []).extend(pairs)
    result = {}
    for stream, pairs in sorted(streams.items()):
        tokens = sum(loss["tokens"] for _, loss in pairs)
        if tokens:
            nats = sum(loss["nats"] for _, loss in pairs)
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


@step("evaluation/held-out", VERSION)
def held_out_rows(run: StepRun, chunks: Artifact, dialogues: Artifact, model: Artifact, params: LossParams) -> None:
    """Writes the rows; counts rows and tokens by stream.

    Raises:
        InputError: nothing is held out, or nothing is to be measured.
    """
    tokenizer = TextTokenizer.load(run.checkout(model))
    rows = [
        row
        for row in loss_rows(
            tokenizer,
            (chunk for chunk in run.read(chunks, Chunk) if chunk.split is Split.HELD_OUT),
            (dialogue for dialogue in run.read(dialogues, Dialogue) if dialogue.split is Split.HELD_OUT),
            params.loss_tokens,
        )
        if not row.stream.startswith(GENERAL) and row.stream != FIRST
    ]
    if not rows or not params.loss_tokens:
        raise InputError(
            "dataset.validation_fraction: no document is held out, so settings cannot be compared; raise it above 0"
            if params.loss_tokens
            else "evaluation.loss_tokens: 0 measures nothing, so settings cannot be compared; raise it"
        )
    with run.path("rows.jsonl").open("w", encoding="utf-8") as writer:
        for row in rows:
            writer.write(json.dumps(vars(row)) + "\n")
            run.count(f"rows:{row.stream}")
            run.count(f"tokens:{row.stream}", len(row.input_ids))
