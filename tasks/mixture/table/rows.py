"""The training table: parts (a chunk, a dialogue), the rows that hold them, and its Parquet file.

The same rows give the same bytes; `datasets` and pyarrow memory-map the file.

Parts are packed into rows by best-fit decreasing: nothing cut, nothing discarded. The result is that of TRL's `bfd` on
parts that fit, which is what chunking guarantees. The open rows are found by a bit per remaining space in one Python
integer, which makes it faster than TRL's segment tree (`tests/benchmarks/packing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import IGNORED, Record

ROWS = "rows.jsonl"
TABLE = "table.parquet"
SOFT_IDS: Final = "soft_ids.npy"
SOFT_LOGPROBS: Final = "soft_logprobs.npy"
"""Of a replay artifact: the base's likeliest tokens at every token of its samples, in the records' order, and their
log-probabilities.
"""
GROUP_TOKENS: Final = 2_000_000
"""Tokens of a row group: the most that is in memory at a time (three int32 columns, 24 MB)."""

Reader = Callable[[Sequence[int]], tuple[NDArray[np.int32], NDArray[np.int32]]]
"""Ids and labels of parts, by their numbers, one after the other."""


class Part(Record):
    """A chunk or dialogue as it stands in a row."""

    id: str
    """Id of the chunk, dialogue or replay record."""
    source: str
    """`raw-file`, `raw-pull`, `raw-wiki`, `dialogue-<method>` or `replay-<name>`."""
    document_id: str
    tokens: int
    trained_tokens: int
    """Tokens under the loss."""
    copy_number: int
    """0, and counted up where the mixture repeats the same part."""


class Row(Record):
    """A row of the table, in the table's order."""

    id: str
    tokens: int
    parts: tuple[Part, ...]
    """In the row's order; positions restart at 0 with each."""


class SoftTargets:
    """The base's likeliest tokens beside every token of its samples, memory-mapped."""

    def __init__(self, folder: Path, lengths: Mapping[str, int]) -> None:
        """Opens the files of a replay artifact, whose samples have these lengths, in stored order."""
        self._ids = np.load(folder / SOFT_IDS, mmap_mode="r")
        self._logprobs = np.load(folder / SOFT_LOGPROBS, mmap_mode="r")
        self._starts = dict(zip(lengths, np.cumsum([0, *lengths.values()]).tolist(), strict=False))

    def of(self, row: Row) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
        """Soft targets of a row's tokens: ids (-1 where there are none) and log-probabilities.

        None for a row without samples.
        """
        if not any(part.id in self._starts for part in row.parts):
            return None
        ids = np.full((row.tokens, self._ids.shape[1]), -1, np.int32)
        logprobs = np.zeros(ids.shape, np.float32)
        at = 0
        for part in row.parts:
            if part.id in self._starts:
                tokens = slice(self._starts[part.id], self._starts[part.id] + part.tokens)
                ids[at : at + part.tokens] = self._ids[tokens]
                logprobs[at : at + part.tokens] = self._logprobs[tokens]
            at += part.tokens
        return ids.ravel(), logprobs.ravel()


class TableWriter:
    """Writes rows in the order given.

    Columns: `id`, `source` and `document_id` (of a packed row: the distinct ones in order of appearance, joined by `+`
    and by newline), `input_ids`, `labels` (-100 = no loss), `position_ids` (from 0 in every part). The first token of
    every part but a row's first has no loss: labels are shifted by one in training, so the last token of one document
    would else be taught to predict the next document. With soft targets also `soft_ids` and `soft_logprobs`, lists of
    tokens x k, null for rows without any.
    """

    def __init__(
        self, path: Path, read: Reader, group_tokens: int = GROUP_TOKENS, soft: SoftTargets | None = None
    ) -> None:
        """Opens the file; `read` gives ids and labels of the parts."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = [("id", pa.string()), ("source", pa.string()), ("document_id", pa.string())]
        tokens = pa.list_(pa.int32())
        columns = names + [(name, tokens) for name in ("input_ids", "labels", "position_ids")]
        if soft:
            columns += [("soft_ids", tokens), ("soft_logprobs", pa.list_(pa.float32()))]
        self._schema = pa.schema(columns)
        self._soft = soft
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=False)
        self._read = read
        self._group_tokens = group_tokens
        self._group: list[tuple[Row, Sequence[int]]] = []
        self._tokens = 0

    def append(self, row: Row, parts: Sequence[int]) -> None:
        """Adds a row, given with the numbers of its parts."""
        self._group.append((row, parts))
        self._tokens += row.tokens
        if self._tokens >= self._group_tokens:
            self._flush()

    def close(self) -> None:
        """Writes what is left and the file's footer."""
        if self._group:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        rows = [row for row, _ in self._group]
        ids, labels = self._read([number for _, numbers in self._group for number in numbers])
        lengths = np.asarray([part.tokens for row in rows for part in row.parts], np.int64)
        starts = np.cumsum(lengths) - lengths
        inner = np.asarray([place > 0 for row in rows for place in range(len(row.parts))])
        labels[starts[inner]] = IGNORED
        positions = (np.arange(len(ids)) - np.repeat(starts, lengths)).astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum([row.tokens for row in rows])]).astype(np.int32)
        table = pa.Table.from_arrays(
            [
                pa.array([row.id for row in rows]),
                pa.array(["+".join(dict.fromkeys(part.source for part in row.parts)) for row in rows]),
                pa.array(["\n".join(dict.fromkeys(part.document_id for part in row.parts)) for row in rows]),
                *(pa.ListArray.from_arrays(offsets, values) for values in (ids, labels, positions)),
                *self._soft_columns(rows),
            ],
            schema=self._schema,
        )
        self._writer.write_table(table)
        self._group, self._tokens = [], 0

    def _soft_columns(self, rows: Sequence[Row]) -> list[Any]:
        import pyarrow as pa

        if self._soft is None:
            return []
        targets = [self._soft.of(row) for row in rows]
        return [
            pa.array([row and row[column] for row in targets], self._schema.field(name).type)
            for column, name in enumerate(("soft_ids", "soft_logprobs"))
        ]


def best_fit(lengths: Sequence[int] | NDArray[np.int64], capacity: int) -> list[list[int]]:
    """Assigns every part to a row so that rows are few and full.

    Args:
        lengths: tokens of each part, each from 1 to `capacity`.
        capacity: tokens of a row.

    Returns:
        For each row the numbers of its parts, ascending. Deterministic: longest first, ties by number, into the fullest
        row that has room.

    Raises:
        ValueError: a part is empty or longer than a row.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if len(sizes) and (sizes.min() < 1 or sizes.max() > capacity):
        raise ValueError(f"lengths must lie between 1 and {capacity}; found {sizes.min()} to {sizes.max()}")
    rows: list[list[int]] = []
    waiting: list[list[int]] = [[] for _ in range(capacity + 1)]  # rows by remaining space
    spaces = 0  # bit n is set when some row has n tokens of space left
    for part in np.argsort(-sizes, kind="stable").tolist():
        length = int(sizes[part])
        candidates = spaces >> length
        if candidates:
            space = length + (candidates & -candidates).bit_length() - 1
            row = waiting[space].pop()
            if not waiting[space]:
                spaces ^= 1 << space
        else:
            space, row = capacity, len(rows)
            rows.append([])
        rows[row].append(part)
        left = space - length
        if left:
            waiting[left].append(row)
            spaces |= 1 << left
    return [sorted(row) for row in rows]
