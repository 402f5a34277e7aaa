"""Token ids of texts, kept on this machine so that no text is tokenised twice, neither by the next run nor by the
next step.

One SQLite file per tokenizer in the store's cache; the key is the SHA-256 of the text. Safe to delete, safe to share
between processes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.text.tokenizer import TextTokenizer

SMALL_VOCABULARY: Final = 1 << 16
"""Ids of smaller vocabularies are kept in two bytes each."""
MAX_QUERY_KEYS: Final = 500

Ids = np.ndarray[Any, np.dtype[np.uint32]]


class TokenCache:
    """A tokenizer that remembers. Use as a context manager."""

    def __init__(self, folder: Path, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self.hits = 0
        self.misses = 0
        self._type = np.uint16 if tokenizer.vocabulary_size <= SMALL_VOCABULARY else np.uint32
        self._database = sqlite3.connect(folder / f"tokens-{tokenizer.fingerprint[:16]}.sqlite", timeout=60)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")  # a lost cache costs time, not truth
        self._database.execute("CREATE TABLE IF NOT EXISTS tokens (digest BLOB PRIMARY KEY, ids BLOB) WITHOUT ROWID")

    def __enter__(self) -> TokenCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.commit()
        self._database.close()

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids per text, uint32, in order; equal to `TextTokenizer.encode_batch`."""
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        known = self._known(digests)
        missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        fresh = self.tokenizer.encode_batch(list(missing.values()))
        for digest, ids in zip(missing, fresh, strict=True):
            known[digest] = np.asarray(ids, np.uint32)
        with self._database:
            self._database.executemany(
                "INSERT OR IGNORE INTO tokens VALUES (?, ?)",
                sorted((digest, known[digest].astype(self._type).tobytes()) for digest in missing),
            )
        self.hits += len(texts) - len(missing)
        self.misses += len(missing)
        return [known[digest] for digest in digests]

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens per text, in order."""
        return [len(ids) for ids in self.encode_batch(texts)]

    def _known(self, digests: Iterable[bytes]) -> dict[bytes, Ids]:
        found: dict[bytes, Ids] = {}
        for keys in _grouped(sorted(set(digests))):
            marks = ",".join("?" * len(keys))
            rows = self._database.execute(f"SELECT digest, ids FROM tokens WHERE digest IN ({marks})", keys)
            found.update((digest, np.frombuffer(ids, self._type).astype(np.uint32)) for digest, ids in rows)
        return found


def _grouped(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), MAX_QUERY_KEYS):
        yield keys[start : start + MAX_QUERY_KEYS]
