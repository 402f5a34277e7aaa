"""Dialogues as ids and labels, kept on this machine: rendering one takes 0.3 ms, and a second run changes few of them.

One SQLite file per tokenizer and chat template in the store's cache; the key is the SHA-256 of the messages. Safe to
delete, safe to share between processes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import Message
from tasks.mixture.spill import IGNORED
from tasks.text.chat import render_dialogues
from tasks.text.tokenizer import TextTokenizer

MAX_QUERY_KEYS: Final = 500
"""Parameters of one statement; SQLite's own limit is higher."""

Rendered = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Ids and labels of a dialogue."""


class DialogueCache:
    """A chat template that remembers. Use as a context manager."""

    def __init__(self, folder: Path, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        template = hashlib.sha256((tokenizer.chat_template or "").encode()).hexdigest()
        name = f"dialogues-{tokenizer.fingerprint[:16]}-{template[:16]}.sqlite"
        self._database = sqlite3.connect(folder / name, timeout=60)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")  # a lost cache costs time, not truth
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS dialogues (digest BLOB PRIMARY KEY, ids BLOB, mask BLOB) WITHOUT ROWID"
        )

    def __enter__(self) -> DialogueCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def render_batch(self, dialogues: Sequence[Sequence[Message]]) -> list[Rendered]:
        """Ids and labels of each, int32, in order; equal to `render_dialogues`."""
        digests = [_digest(messages) for messages in dialogues]
        known = self._known(digests)
        missing = {digest: messages for digest, messages in zip(digests, dialogues, strict=True) if digest not in known}
        made = render_dialogues(self.tokenizer, list(missing.values()))
        fresh = {
            digest: (np.asarray(ids, dtype=np.int32), np.asarray(labels, dtype=np.int32))
            for digest, (ids, labels) in zip(missing, made, strict=True)
        }
        known |= fresh
        with self._database:
            self._database.executemany(
                "INSERT OR IGNORE INTO dialogues VALUES (?, ?, ?)",
                [
                    (digest, ids.tobytes(), np.packbits(labels != IGNORED).tobytes())
                    for digest, (ids, labels) in sorted(fresh.items())
                ],
            )
        return [known[digest] for digest in digests]

    def _known(self, digests: Sequence[bytes]) -> dict[bytes, Rendered]:
        found: dict[bytes, Rendered] = {}
        wanted = sorted(set(digests))
        for start in range(0, len(wanted), MAX_QUERY_KEYS):
            keys = wanted[start : start + MAX_QUERY_KEYS]
            marks = ",".join("?" * len(keys))
            for digest, ids_bytes, mask_bytes in self._database.execute(
                f"SELECT digest, ids, mask FROM dialogues WHERE digest IN ({marks})", keys
            ):
                ids = np.frombuffer(ids_bytes, np.int32)
                mask = np.unpackbits(np.frombuffer(mask_bytes, np.uint8), count=len(ids)).astype(bool)
                found[digest] = (ids, np.where(mask, ids, np.int32(IGNORED)))
        return found


def _digest(messages: Sequence[Message]) -> bytes:
    """Each content's length stands before it, so no two dialogues give the same bytes."""
    document = "".join(f"{message.role}\0{len(message.content)}\0{message.content}" for message in messages)
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).digest()
