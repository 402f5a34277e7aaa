"""Reading the training table: which rows in which order, which tokens are targets, where each token comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import InputError
from tasks.base.records import IGNORED

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """One or more rows of the table side by side: int64 `[T]` each."""

    input_ids: Integers
    labels: Integers
    """Where a position is 0 the label is `IGNORED`: nothing before it in its document could predict it."""
    position_ids: Integers
    sources: Integers
    """Index into `Table.sources` of each token."""

    @property
    def targets(self) -> int:
        """How many tokens are under the loss."""
        return int((self.labels != IGNORED).sum())


class Table:
    """The training table, memory-mapped; rows are handed out as arrays."""

    def __init__(self, folder: Path) -> None:
        """Opens `table.parquet`, and `rows.jsonl` beside it for the sources inside packed rows.

        Raises:
            InputError: there is nothing to train on.
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        columns = ["source", "input_ids", "labels", "position_ids"]
        self._table = pq.read_table(folder / "table.parquet", columns=columns, memory_map=True).combine_chunks()
        if not len(self):
            raise InputError("dataset: the training table has no rows; loosen the filters or add sources")
        self._lengths: list[int] = pc.list_value_length(self._table.column("input_ids")).to_pylist()
        self._parts = _parts(folder / "rows.jsonl")
        names = {name for row in self._table.column("source").to_pylist() for name in row.split("+")}
        self.sources: tuple[str, ...] = tuple(sorted(names | {"mixed"}))
        """Names of the sources, sorted; `mixed` stands for packed rows whose parts are not known."""

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def row(self, index: int) -> Rows:
        """One row."""
        ids, labels, positions = (
            self._table.column(name)[index].values.to_numpy(zero_copy_only=False).astype(np.int64)
            for name in ("input_ids", "labels", "position_ids")
        )
        labels = np.where(positions == 0, IGNORED, labels)
        return Rows(ids, labels, positions, self._sources(index, len(ids)))

    def side_by_side(self, indices: list[int]) -> Rows:
        """Several rows as one; positions restart at each, so they stay apart as documents in a row do."""
        rows = [self.row(index) for index in indices]
        return Rows(
            np.concatenate([row.input_ids for row in rows]),
            np.concatenate([row.labels for row in rows]),
            np.concatenate([row.position_ids for row in rows]),
            np.concatenate([row.sources for row in rows]),
        )

    def length(self, index: int) -> int:
        """Tokens of a row."""
        return self._lengths[index]

    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return list(self._lengths)

    def targets(self) -> int:
        """Tokens under the loss in one epoch."""
        return sum(self.row(index).targets for index in range(len(self)))

    def _sources(self, index: int, length: int) -> Integers:
        names = str(self._table.column("source")[index].as_py()).split("+")
        if len(names) == 1:
            return np.full(length, self.sources.index(names[0]))
        parts = self._parts[index] if index < len(self._parts) else []
        if sum(tokens for _, tokens in parts) != length:
            return np.full(length, self.sources.index("mixed"))
        return np.concatenate([np.full(tokens, self.sources.index(name)) for name, tokens in parts])


def row_order(rows: int, epochs: int, seed: int) -> list[int]:
    """Indices of the rows in training order: every epoch is a permutation of its own, decided by seed and epoch."""
    return [int(index) for epoch in range(epochs) for index in np.random.default_rng([seed, epoch]).permutation(rows)]


def optimizer_steps(rows: int, epochs: int, batch_size: int) -> int:
    """Steps that all epochs take; a batch may reach over the end of an epoch, and only the last one can be smaller."""
    return -(-rows * epochs // batch_size)


def _parts(path: Path) -> list[list[tuple[str, int]]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [[(part["source"], part["tokens"]) for part in json.loads(line).get("parts", [])] for line in lines]
