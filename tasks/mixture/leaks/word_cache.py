"""The words of texts as numbers, for the leak guard, kept on this machine: finding them takes longer than searching
them. What is kept together are the texts of one document; the key is their SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.base.kept import Kept
from tasks.mixture.leaks.matching import WordNumbers

VERSION: Final = 2
"""Of what counts as a word and of the stored bytes."""


class Numbered(NamedTuple):
    """Texts one after the other."""

    words: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    """Words of each."""


class WordCache(Kept):
    """`WordNumbers` that remembers. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"words-{VERSION}")

    def number(self, groups: Sequence[Sequence[str]]) -> list[Numbered]:
        """The words of the texts of each group, in order."""
        digests = [_digest(group) for group in groups]
        known = {digest: _unpacked(value) for digest, value in self.get(digests).items()}
        numbers = WordNumbers()
        fresh: dict[bytes, Numbered] = {}
        for digest, group in zip(digests, groups, strict=True):
            if digest not in known:
                found = [numbers.of(text) for text in group]
                lengths = np.asarray([len(words) for words in found], np.int64)
                fresh[digest] = known[digest] = Numbered(np.concatenate(found), lengths)
        self.put(
            (digest, np.concatenate([[len(made.lengths)], made.lengths, made.words]).astype(np.uint32).tobytes())
            for digest, made in fresh.items()
        )
        return [known[digest] for digest in digests]


def _unpacked(value: bytes) -> Numbered:
    stored = np.frombuffer(value, np.uint32)
    first = 1 + int(stored[0])
    return Numbered(stored[first:], stored[1:first].astype(np.int64))


def _digest(group: Sequence[str]) -> bytes:
    """Lengths stand before what they measure, so no two groups give the same bytes."""
    document = "".join(f"{len(text)}\0{text}" for text in group)
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).digest()
