"""The training table: parts (a chunk, a dialogue), the rows that hold them, and the Parquet file of their tokens.

The same rows give the same bytes; `datasets` and pyarrow memory-map the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import IGNORED, Record

ROWS = "rows.jsonl"
TABLE = "table.parquet"
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


class TableWriter:
    """Writes rows in the order given.

    Columns: `id`, `source` and `document_id` (of a packed row: the distinct ones in order of appearance, joined by `+`
    and by newline), `input_ids`, `labels` (-100 = no loss), `position_ids` (from 0 in every part). The first token of
    every part but a row's first has no loss: labels are shifted by one in training, so the last token of one document
    would else be taught to predict the next document.
    """

    def __init__(self, path: Path, read: Reader, group_tokens: int = GROUP_TOKENS) -> None:
        """Opens the file; `read` gives ids and labels of the parts."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = [("id", pa.string()), ("source", pa.string()), ("document_id", pa.string())]
        tokens = pa.list_(pa.int32())
        self._schema = pa.schema(names + [(name, tokens) for name in ("input_ids", "labels", "position_ids")])
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
            ],
            schema=self._schema,
        )
        self._writer.write_table(table)
        self._group, self._tokens = [], 0
