"""Token ids on disk between the two passes of `assemble`, so that memory does not grow with the corpus.

Ids (int32) and loss mask (one byte a token) are appended in the order of the parts and later read at random.
"""

from __future__ import annotations

import os
from array import array
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

IGNORED: Final = -100
"""Label of a token that bears no loss (PyTorch's `ignore_index`)."""


class TokenSpill:
    """Append-only store of encoded parts; `close` ends the writing and opens the reading. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = ExitStack()
        self._ids = self._files.enter_context((folder / "ids.i32").open("w+b"))
        self._mask = self._files.enter_context((folder / "mask.u8").open("w+b"))
        self.lengths = array("q")
        self.trained = array("q")
        """Tokens under the loss, per part. The first token never is: nothing before it in its document predicts it."""
        self._starts: NDArray[np.int64] = np.zeros(1, dtype=np.int64)

    def append(self, ids: NDArray[np.int32], labels: NDArray[np.int32]) -> None:
        """Adds a part; a label is the token's id or `IGNORED`."""
        mask = (labels != IGNORED).astype(np.uint8)
        self._ids.write(ids.astype(np.int32).tobytes())
        self._mask.write(mask.tobytes())
        self.lengths.append(len(ids))
        self.trained.append(int(mask[1:].sum()))

    def close(self) -> None:
        """Ends the writing; `part` can be called from now on."""
        self._ids.flush()
        self._mask.flush()
        self._starts = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    def part(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ids and labels of a part. Read, not memory-mapped: pages of a map would count as this process's memory."""
        start, length = int(self._starts[number]), self.lengths[number]
        ids = np.frombuffer(os.pread(self._ids.fileno(), 4 * length, 4 * start), dtype=np.int32)
        mask = np.frombuffer(os.pread(self._mask.fileno(), length, start), dtype=np.uint8)
        return ids, np.where(mask == 1, ids, np.int32(IGNORED))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.close()
