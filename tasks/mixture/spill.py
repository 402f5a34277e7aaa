"""Token ids on disk between the two passes of `assemble`, so that memory does not grow with the corpus.

Ids (int32) and loss mask (one byte a token) are appended in the order of the parts and later read at random through a
memory map.
"""

from __future__ import annotations

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
        self._folder = folder
        self._files = ExitStack()
        self._ids_file = self._files.enter_context((folder / "ids.i32").open("wb"))
        self._mask_file = self._files.enter_context((folder / "mask.u8").open("wb"))
        self.lengths = array("q")
        self.trained = array("q")
        """Tokens under the loss, per part. The first token never is: nothing before it in its document predicts it."""
        self._starts: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self._ids: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._mask: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)

    def append(self, ids: NDArray[np.int32], labels: NDArray[np.int32]) -> None:
        """Adds a part; a label is the token's id or `IGNORED`."""
        mask = (labels != IGNORED).astype(np.uint8)
        self._ids_file.write(ids.astype(np.int32).tobytes())
        self._mask_file.write(mask.tobytes())
        self.lengths.append(len(ids))
        self.trained.append(int(mask[1:].sum()))

    def close(self) -> None:
        """Ends the writing; `part` can be called from now on."""
        self._files.close()
        self._starts = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
        if self._starts[-1]:
            self._ids = np.memmap(self._folder / "ids.i32", dtype=np.int32, mode="r")
            self._mask = np.memmap(self._folder / "mask.u8", dtype=np.uint8, mode="r")

    def part(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ids and labels of a part."""
        window = slice(int(self._starts[number]), int(self._starts[number + 1]))
        ids = self._ids[window]
        return ids, np.where(self._mask[window] == 1, ids, np.int32(IGNORED))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.close()
        self._ids, self._mask = self._ids[:0].copy(), self._mask[:0].copy()
