"""Token ids on disk between the two passes of `assemble`, so that memory does not grow with the corpus.

Ids (int32) and loss mask (one byte a token) are appended in the order of the parts and later read at random through a
memory map.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

IGNORED = -100
"""Label of a token that bears no loss (PyTorch's `ignore_index`)."""


class TokenSpill:
    """Append-only store of encoded parts; `close` ends the writing and opens the reading."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = (folder / "ids.i32", folder / "mask.u8")
        self._files = ExitStack()
        self._writers = [self._files.enter_context(path.open("wb")) for path in self._paths]
        self.lengths: list[int] = []
        self.trained: list[int] = []
        """Tokens under the loss, per part."""
        self.trained_first: list[bool] = []
        """Whether the part's first token is under the loss."""
        self._starts: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self._ids: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._mask: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)

    def append(self, ids: Sequence[int], labels: Sequence[int]) -> None:
        """Adds a part; a label is the token's id or `IGNORED`."""
        tokens = np.asarray(ids, dtype=np.int32)
        mask = (np.asarray(labels) != IGNORED).astype(np.uint8)
        self._writers[0].write(tokens.tobytes())
        self._writers[1].write(mask.tobytes())
        self.lengths.append(len(tokens))
        self.trained.append(int(mask.sum()))
        self.trained_first.append(bool(mask[:1].any()))

    def close(self) -> None:
        """Ends the writing; `part` can be called from now on."""
        self._files.close()
        self._starts = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
        if self._starts[-1]:
            self._ids = np.memmap(self._paths[0], dtype=np.int32, mode="r")
            self._mask = np.memmap(self._paths[1], dtype=np.uint8, mode="r")

    def part(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ids and labels of a part."""
        window = slice(int(self._starts[number]), int(self._starts[number + 1]))
        ids = self._ids[window]
        return ids, np.where(self._mask[window] == 1, ids, np.int32(IGNORED))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()
        self._ids, self._mask = self._ids[:0].copy(), self._mask[:0].copy()
        for path in self._paths:
            path.unlink(missing_ok=True)
