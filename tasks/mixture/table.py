"""The training table as Parquet: the same rows give the same bytes; `datasets` and pyarrow memory-map it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tasks.mixture.rows import Row
from tasks.mixture.spill import IGNORED

GROUP_TOKENS: Final = 2_000_000
"""Tokens of a row group: the most that is in memory at a time (three int32 columns, 24 MB)."""

Reader = Callable[[int], tuple[NDArray[np.int32], NDArray[np.int32]]]


class TableWriter:
    """Writes rows in the order given.

    Columns: `id`, `source` and `document_id` (of a packed row: the distinct ones in order of appearance, joined by `+`
    and by newline), `input_ids`, `labels` (-100 = no loss), `position_ids` (from 0 in every part). The first token of
    every part but a row's first has no loss: labels are shifted by one in training, so the last token of one document
    would else be taught to predict the next document.
    """

    def __init__(self, path: Path, read: Reader) -> None:
        """Opens the file; `read` gives ids and labels of a part, by number."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = [("id", pa.string()), ("source", pa.string()), ("document_id", pa.string())]
        tokens = pa.list_(pa.int32())
        self._schema = pa.schema(names + [(name, tokens) for name in ("input_ids", "labels", "position_ids")])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=False)
        self._read = read
        self._group: list[tuple[Row, Sequence[int]]] = []
        self._tokens = 0

    def append(self, row: Row, parts: Sequence[int]) -> None:
        """Adds a row, given with the numbers of its parts."""
        self._group.append((row, parts))
        self._tokens += row.tokens
        if self._tokens >= GROUP_TOKENS:
            self._flush()

    def close(self) -> None:
        """Writes what is left and the file's footer."""
        if self._group:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        rows = [row for row, _ in self._group]
        parts = [_unlinked(*self._read(number), place) for _, row in self._group for place, number in enumerate(row)]
        offsets = np.concatenate([[0], np.cumsum([row.tokens for row in rows])]).astype(np.int32)
        columns = (
            np.concatenate([ids for ids, _ in parts]),
            np.concatenate([labels for _, labels in parts]),
            np.concatenate([np.arange(len(ids), dtype=np.int32) for ids, _ in parts]),
        )
        table = pa.Table.from_arrays(
            [
                pa.array([row.id for row in rows]),
                pa.array(["+".join(dict.fromkeys(part.source for part in row.parts)) for row in rows]),
                pa.array(["\n".join(dict.fromkeys(part.document_id for part in row.parts)) for row in rows]),
                *(pa.ListArray.from_arrays(offsets, values) for values in columns),
            ],
            schema=self._schema,
        )
        self._writer.write_table(table)
        self._group, self._tokens = [], 0


def _unlinked(
    ids: NDArray[np.int32], labels: NDArray[np.int32], place: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    if place:
        labels[0] = IGNORED
    return ids, labels
