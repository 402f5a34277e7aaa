"""Reading the training table: which rows in which order, which tokens are targets, from which source."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import InputError
from tasks.base.records import IGNORED

Integers = NDArray[np.int64]

SOFT_IDS: Final = "soft_ids"
SOFT_LOGPROBS: Final = "soft_logprobs"
"""Columns that a table may have beside `input_ids`: lists of tokens x k, row by row; null where a row has none."""


HELD_SAMPLES: Final = "held_samples.jsonl"
"""Beside a table with a replay: samples of the base that are not trained on, as rows of a `validation.py` file."""


@dataclass(frozen=True)
class Soft:
    """Soft targets: for each token the base's likeliest tokens in its place, with log-probabilities.

    What is missing to a probability of 1 is the rest, one bucket. A first id of -1: the token has none, its loss is
    that of its label.
    """

    ids: NDArray[np.int32]
    """`[T, k]`."""
    logprobs: NDArray[np.float32]
    """`[T, k]`, in nats."""

    @classmethod
    def none(cls, tokens: int, top: int) -> Soft:
        """Of tokens without any."""
        return cls(np.full((tokens, top), -1, np.int32), np.zeros((tokens, top), np.float32))


@dataclass(frozen=True)
class Rows:
    """One or more rows of the table side by side: int64 `[T]` each."""

    input_ids: Integers
    labels: Integers
    """Where a position is 0 the label is `IGNORED`: nothing before it in its document could predict it."""
    position_ids: Integers
    sources: Integers
    """Index into `Table.sources` of each token."""
    soft: Soft | None = None
    """Null = every target is a label."""

    @property
    def soft_targets(self) -> NDArray[np.bool_] | None:
        """Of each target, in order, whether it is soft; null = none is."""
        return None if self.soft is None else (self.soft.ids[:, 0] >= 0)[self.labels != IGNORED]

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
        names_there = set(pq.read_schema(folder / "table.parquet").names)
        columns += [name for name in (SOFT_IDS, SOFT_LOGPROBS) if name in names_there]
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
        return Rows(ids, labels, positions, self._sources(index, len(ids)), self._soft(index, len(ids)))

    def _soft(self, index: int, tokens: int) -> Soft | None:
        if SOFT_IDS not in self._table.column_names or not self._table.column(SOFT_IDS)[index].is_valid:
            return None
        ids, logprobs = (
            self._table.column(name)[index].values.to_numpy(zero_copy_only=False) for name in (SOFT_IDS, SOFT_LOGPROBS)
        )
        if len(ids) != len(logprobs) or not len(ids) or len(ids) % tokens:
            raise InputError(f"dataset.replay: row {index} of the table has {len(ids)} soft ids for {tokens} tokens")
        top = len(ids) // tokens
        return Soft(ids.reshape(tokens, top).astype(np.int32), logprobs.reshape(tokens, top).astype(np.float32))

    def side_by_side(self, indices: list[int]) -> Rows:
        """Several rows as one; positions restart at each, so they stay apart as documents in a row do."""
        rows = [self.row(index) for index in indices]
        return Rows(
            np.concatenate([row.input_ids for row in rows]),
            np.concatenate([row.labels for row in rows]),
            np.concatenate([row.position_ids for row in rows]),
            np.concatenate([row.sources for row in rows]),
            _side_by_side(rows),
        )

    def length(self, index: int) -> int:
        """Tokens of a row."""
        return self._lengths[index]

    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return list(self._lengths)

    def targets(self, indices: Iterable[int] | None = None) -> int:
        """Tokens under the loss in rows, of which some may come more than once; null = in one epoch."""
        times = Counter(range(len(self)) if indices is None else indices)
        return sum(count * self.row(index).targets for index, count in times.items())

    def _sources(self, index: int, length: int) -> Integers:
        names = str(self._table.column("source")[index].as_py()).split("+")
        if len(names) == 1:
            return np.full(length, self.sources.index(names[0]))
        parts = self._parts[index] if index < len(self._parts) else []
        if sum(tokens for _, tokens in parts) != length:
            return np.full(length, self.sources.index("mixed"))
        return np.concatenate([np.full(tokens, self.sources.index(name)) for name, tokens in parts])


def row_order(rows: int, epochs: int, seed: int) -> list[int]:
    """Indices of the rows in training order: a permutation per epoch, decided by seed and epoch."""
    return [int(index) for epoch in range(epochs) for index in np.random.default_rng([seed, epoch]).permutation(rows)]


def optimizer_steps(rows: int, epochs: int, batch_size: int) -> int:
    """Steps of all epochs; a batch may reach over an epoch's end, and only the last can be smaller."""
    return -(-rows * epochs // batch_size)


def _side_by_side(rows: list[Rows]) -> Soft | None:
    """Soft targets of rows, of which some may have none; null where all have none."""
    tops = {row.soft.ids.shape[1] for row in rows if row.soft is not None}
    if not tops:
        return None
    if len(tops) > 1:
        raise InputError(f"dataset.replay: soft targets of {sorted(tops)} tokens in one table; make it again")
    parts = [row.soft or Soft.none(len(row.input_ids), max(tops)) for row in rows]
    return Soft(np.concatenate([part.ids for part in parts]), np.concatenate([part.logprobs for part in parts]))


def _parts(path: Path) -> list[list[tuple[str, int]]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [[(part["source"], part["tokens"]) for part in json.loads(line).get("parts", [])] for line in lines]
