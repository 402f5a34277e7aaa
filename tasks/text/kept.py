"""What was once made of a text, kept on this machine: bytes by the hash of everything that they depend on.

One SQLite file per kind in the store's cache. Safe to delete, safe to share between processes; a file that outgrows
`MAX_BYTES` begins anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

MAX_BYTES: Final = 8 << 30
"""Beyond this a file is emptied when it is opened. 100 M tokens take about 0.4 GB."""
MAX_QUERY_KEYS: Final = 500
"""Parameters of one statement; SQLite's own limit is higher."""


class Kept:
    """A table of bytes by key. Use as a context manager.

    Args:
        folder: where the file lies.
        name: of the file, without its ending; bears the version of what makes the values.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._database = sqlite3.connect(folder / f"{name}.sqlite", timeout=60)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")  # a lost cache costs time, not truth
        self._database.execute("CREATE TABLE IF NOT EXISTS kept (digest BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        pages, size = (self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        if pages * size > MAX_BYTES:
            with self._database:
                self._database.execute("DELETE FROM kept")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def get(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values that are there."""
        found: dict[bytes, bytes] = {}
        wanted = sorted(set(digests))
        for start in range(0, len(wanted), MAX_QUERY_KEYS):
            keys = wanted[start : start + MAX_QUERY_KEYS]
            marks = ",".join("?" * len(keys))
            found.update(self._database.execute(f"SELECT digest, value FROM kept WHERE digest IN ({marks})", keys))
        return found

    def put(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Adds values; one that is there stays."""
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", sorted(values))
