"""Parts of the finished table, decoded, with the loss mask visible: what a person checks before trusting a training
set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.base.records import IGNORED
from tasks.mixture.report.data_facts import Sample
from tasks.text.tokenizer import TextTokenizer

HEAD_TOKENS: Final = 420
TAIL_TOKENS: Final = 120
"""Shown of a long part: its beginning and its end, where the end token is."""


@dataclass(frozen=True)
class Piece:
    """A stretch of text of one colour."""

    text: str
    style: str
    """`trained`, `masked`, or either with ` control` for control tokens; `gap` for what is not shown."""


@dataclass(frozen=True)
class Shown:
    """A sample as the page draws it."""

    id: str
    source: str
    tokens: int
    trained_tokens: int
    pieces: tuple[Piece, ...]


def read_samples(folder: Path, samples: Sequence[Sample], tokenizer: TextTokenizer) -> list[Shown]:
    """The samples, in the order given; reads only the row groups that hold them.

    Args:
        folder: of the table artifact.
        samples: where they stand.
        tokenizer: of the model that the table is for.
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder / "table.parquet")
    found: dict[int, tuple[Any, Any]] = {}
    first = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        wanted = sorted({sample.row for sample in samples if first <= sample.row < first + count})
        if wanted:
            columns = file.read_row_group(group, columns=["input_ids", "labels"])
            for row in wanted:
                found[row] = tuple(
                    columns.column(name)[row - first].values.to_numpy() for name in ("input_ids", "labels")
                )
        first += count
    return [_shown(sample, *found[sample.row], tokenizer) for sample in samples]


def pieces(ids: Sequence[int], trained: Sequence[bool], tokenizer: TextTokenizer) -> list[Piece]:
    """Stretches of equal mask as text; a control token is a stretch of its own."""
    marks = [
        ("trained" if is_trained else "masked") + (" control" if token in tokenizer.control_ids else "")
        for token, is_trained in zip(ids, trained, strict=True)
    ]
    return [
        Piece(tokenizer.decode(token for token, _ in stretch), style)
        for style, stretch in (
            (style, list(group)) for style, group in groupby(zip(ids, marks, strict=True), key=lambda pair: pair[1])
        )
    ]


def _shown(sample: Sample, ids: Any, labels: Any, tokenizer: TextTokenizer) -> Shown:
    part = sample.part
    window = slice(sample.start, sample.start + part.tokens)
    tokens = ids[window].tolist()
    trained = (labels[window] != IGNORED).astype(bool)
    trained[0] = False
    head, tail = part.tokens, 0
    if part.tokens > HEAD_TOKENS + TAIL_TOKENS:
        head, tail = HEAD_TOKENS, TAIL_TOKENS
    mask: list[bool] = np.asarray(trained).tolist()
    drawn = pieces(tokens[:head], mask[:head], tokenizer)
    if tail:
        drawn.append(Piece(f" … {part.tokens - head - tail:,} tokens not shown … ", "gap"))
        drawn += pieces(tokens[-tail:], mask[-tail:], tokenizer)
    return Shown(part.id, part.source, part.tokens, part.trained_tokens, tuple(drawn))
