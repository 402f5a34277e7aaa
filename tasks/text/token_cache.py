"""Token ids of texts, kept on this machine so that no text is tokenised twice, neither by the next run nor by the
next step. The key is the SHA-256 of the text, the file bears the tokenizer's fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.base.kept import Kept
from tasks.text.tokenizer import TextTokenizer

SMALL_VOCABULARY: Final = 1 << 16
"""Ids of smaller vocabularies are kept in two bytes each."""

Ids = np.ndarray[Any, np.dtype[np.uint32]]


class TokenCache(Kept):
    """A tokenizer that remembers. Use as a context manager."""

    def __init__(self, folder: Path, tokenizer: TextTokenizer) -> None:
        super().__init__(folder, f"tokens-3-{tokenizer.fingerprint[:16]}")
        self.tokenizer = tokenizer
        self.hits = 0
        self.misses = 0
        self._type = stored_type(tokenizer)

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids per text, uint32, in order; equal to `TextTokenizer.encode_batch`."""
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        known = {digest: np.frombuffer(ids, self._type).astype(np.uint32) for digest, ids in self.get(digests).items()}
        missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        fresh = self.tokenizer.encode_batch(list(missing.values()))
        for digest, ids in zip(missing, fresh, strict=True):
            known[digest] = np.asarray(ids, np.uint32)
        self.put((digest, known[digest].astype(self._type).tobytes()) for digest in missing)
        self.hits += len(texts) - len(missing)
        self.misses += len(missing)
        return [known[digest] for digest in digests]

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens per text, in order."""
        return [len(ids) for ids in self.encode_batch(texts)]


def stored_type(tokenizer: TextTokenizer) -> type[np.unsignedinteger[Any]]:
    """The smallest type that holds every id."""
    return np.uint16 if tokenizer.vocabulary_size <= SMALL_VOCABULARY else np.uint32
