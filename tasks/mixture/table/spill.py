"""Token ids on disk between the two passes of `assemble`, so that memory does not grow with the corpus.

Appended in the order of the parts and later read at random; four bytes a token, bits inverted where it bears no loss.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import IGNORED

Ints = NDArray[np.int64]


class TokenSpill:
    """Append-only store of encoded parts; `close` ends the writing and opens the reading. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = ExitStack()
        self._tokens = self._files.enter_context((folder / "tokens.i32").open("w+b"))
        self._lengths: list[Ints] = []
        self._trained: list[Ints] = []
        self.lengths: Ints = np.zeros(0, np.int64)
        """Tokens per part, known once the spill is closed."""
        self.trained: Ints = np.zeros(0, np.int64)
        """Tokens under the loss, per part. The first token never is: nothing before it in its document predicts it."""
        self._starts: Ints = np.zeros(1, np.int64)

    def append(self, ids: NDArray[np.int32], mask: NDArray[np.bool_], lengths: Ints) -> None:
        """Adds parts.

        Args:
            ids: tokens of all of them, one after the other.
            mask: whether a token is under the loss.
            lengths: tokens of each, at least 1.
        """
        self._tokens.write(np.where(mask, ids, ~ids).astype(np.int32).tobytes())
        self._lengths.append(lengths)
        self._trained.append(trained_tokens(mask, np.cumsum(lengths) - lengths, lengths))

    def close(self) -> None:
        """Ends the writing; `parts` can be called from now on."""
        self._tokens.flush()
        if self._lengths:
            self.lengths, self.trained = np.concatenate(self._lengths), np.concatenate(self._trained)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def parts(self, numbers: Sequence[int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ids and labels of parts, one after the other. Read, not memory-mapped: pages of a map would count as this
        process's memory.
        """
        lengths = self.lengths[numbers]
        stored = np.empty(int(lengths.sum()), np.int32)
        room = stored.data.cast("B")
        place = 0
        for start, size in zip((4 * self._starts[numbers]).tolist(), (4 * lengths).tolist(), strict=True):
            os.preadv(self._tokens.fileno(), [room[place : place + size]], start)
            place += size
        masked = stored < 0
        ids = np.where(masked, ~stored, stored)
        return ids, np.where(masked, np.int32(IGNORED), ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.close()


def trained_tokens(mask: NDArray[np.bool_], starts: Ints, lengths: Ints) -> Ints:
    """Tokens under the loss of each part but its first, which nothing predicts.

    Args:
        mask: of the tokens of all parts, one after the other.
        starts: where each part begins.
        lengths: how much of it counts.
    """
    before = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
    return np.asarray(before[starts + lengths] - before[starts + np.minimum(lengths, 1)], np.int64)
