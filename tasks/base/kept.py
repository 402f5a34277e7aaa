"""A cache of this machine: what was made of some input, by the hash of all that it depends on.

One SQLite file per kind in the store's cache. Safe to delete, safe to share between processes; what is damaged is made
again, and a file that outgrows `MAX_BYTES` starts empty again.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

MAX_BYTES: Final = 8 << 30
"""Of a file; 100 M tokens take about 0.4 GB."""
MAX_QUERY_KEYS: Final = 500
"""Parameters of one statement; SQLite's own limit is higher."""
CHECK_BYTES: Final = 8
"""Of a value's checksum."""

logger = logging.getLogger(__name__)


def open_cache(path: Path, *statements: str) -> sqlite3.Connection:
    """Opens a cache's file and makes it if it is missing or broken; in memory where no file can be had.

    Args:
        path: of the file; its folder is made too.
        statements: what every connection executes first, the tables among them.
    """
    for _ in range(2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = sqlite3.connect(path, timeout=60)
        except (OSError, sqlite3.OperationalError) as error:
            logger.warning("%s cannot be opened (%s); nothing is kept this time", path.name, error)
            break
        try:
            for statement in ("PRAGMA synchronous = OFF", *statements):  # a lost cache costs time, not truth
                file.execute(statement)
        except sqlite3.DatabaseError as error:
            file.close()
            if not is_damage(error):
                logger.warning("%s cannot be used (%s); nothing is kept this time", path.name, error)
                break
            discard(path)
        else:
            return file
    file = sqlite3.connect(":memory:")
    for statement in statements:
        file.execute(statement)
    return file


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error means wrong content, and not that the file is locked, full or read-only."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR)


def discard(path: Path) -> None:
    """Removes a cache's file with what SQLite has beside it; who has it open goes on with what they have."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


def portions(keys: Sequence[str] | Sequence[bytes]) -> Iterator[tuple[str, Sequence[str] | Sequence[bytes]]]:
    """Keys as many as a statement may ask for, each time with the marks that stand for them."""
    for start in range(0, len(keys), MAX_QUERY_KEYS):
        some = keys[start : start + MAX_QUERY_KEYS]
        yield ",".join("?" * len(some)), some


class Kept:
    """A table of bytes by key. Use as a context manager.

    Args:
        folder: where the file lies.
        name: of the file, without its ending; bears the version of what makes the values.
        max_bytes: beyond which the file is emptied when it is opened.
    """

    def __init__(self, folder: Path, name: str, max_bytes: int = MAX_BYTES) -> None:
        self._path = folder / f"{name}.sqlite"
        self._is_damaged = False
        self._database = open_cache(
            self._path,
            "PRAGMA journal_mode = WAL",
            "CREATE TABLE IF NOT EXISTS kept (digest BLOB PRIMARY KEY, checksum BLOB, value BLOB) WITHOUT ROWID",
        )
        try:
            pages, size = (
                self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
            )
            if pages * size > max_bytes:
                with self._database:
                    self._database.execute("DELETE FROM kept")
        except sqlite3.DatabaseError as error:
            self._told(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        if self._is_damaged:
            discard(self._path)

    def get(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values that are there and whole."""
        values: dict[bytes, bytes] = {}
        damaged: list[tuple[bytes]] = []
        try:
            for marks, keys in portions(sorted(set(digests))):
                for key, checksum, value in self._database.execute(
                    f"SELECT digest, checksum, value FROM kept WHERE digest IN ({marks})", keys
                ):
                    if isinstance(value, bytes) and checksum == _checksum(key, value):
                        values[key] = value
                    else:
                        damaged.append((key,))
            if damaged:
                with self._database:
                    self._database.executemany("DELETE FROM kept WHERE digest = ?", damaged)
        except sqlite3.DatabaseError as error:
            self._told(error)
        return values

    def put(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Adds values; one that is there stays, one that cannot be written is made again next time."""
        rows = [(key, _checksum(key, value), value) for key, value in sorted(values)]
        try:
            with self._database:
                self._database.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?, ?)", rows)
        except sqlite3.DatabaseError as error:
            self._told(error)

    def _told(self, error: sqlite3.DatabaseError) -> None:
        logger.warning("%s: %s; what it held is made again", self._path.name, error)
        self._is_damaged = self._is_damaged or is_damage(error)


def _checksum(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=CHECK_BYTES, key=key[:64]).digest()
