"""Caches of the harvest under every kind of damage: equal answers, and whole again afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tasks.base.kept import Kept
from tasks.harvest.git.blob_cache import BlobCache
from tasks.harvest.git.repository import git, open_view
from tests.harvest.histories import commit

pytestmark = pytest.mark.slow


def statement(text: str, *values: object) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        with closing(sqlite3.connect(file)) as opened, opened:
            opened.execute(text, values)

    return damage


def cut(share: float) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])


def overwrite(start: float, size: int, value: bytes = b"\xa5") -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        first = int(len(content) * start)
        content[first : first + size] = value * len(content[first : first + size])
        file.write_bytes(content)

    return damage


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


BLOBS: dict[str, Callable[[Path], None]] = {
    "empty": lambda file: file.write_bytes(b""),
    "hundred bytes": lambda file: file.write_bytes(file.read_bytes()[:100]),
    "half": cut(0.5),
    "last page cut": cut(0.9),
    "text": lambda file: file.write_bytes(b"no database" * 1000),
    "magic": overwrite(0, 16),
    "header": overwrite(0, 100),
    "schema page": overwrite(0.0001, 4000),
    "second page": overwrite(0.5, 30_000),
    "zeros": overwrite(0.4, 60_000, b"\0"),
    "row altered": statement("UPDATE blobs SET data = ?", b"x = 7\n"),
    "row null": statement("UPDATE blobs SET data = NULL"),
    "row of another type": statement("UPDATE blobs SET data = 123456789012"),
    "row text": statement("UPDATE blobs SET data = 'x'"),
    "other columns": statement("ALTER TABLE blobs RENAME COLUMN data TO content"),
    "table gone": statement("ALTER TABLE blobs RENAME TO others"),
    "folder": folder_instead,
}


@pytest.mark.parametrize("kind", BLOBS)
def test_damaged_blob_cache_answers_the_same_and_heals(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "repo.git"
    commit(folder, {f"f{number}.py": f"x = {number}\n".encode() * 400 for number in range(200)})
    view = open_view(folder, tmp_path)
    ids = [line.split()[2] for line in git("ls-tree", "-r", "main", at=folder).decode().splitlines()]
    before = list(BlobCache(tmp_path / "blobs", view).blobs(ids))
    BLOBS[kind](tmp_path / "blobs" / "contents.sqlite")
    for _ in range(2):
        assert list(BlobCache(tmp_path / "blobs", view).blobs(ids)) == before
    healed = BlobCache(tmp_path / "blobs", view)
    assert list(healed.blobs(ids)) == before
    assert healed.blobs_read == (200 if kind == "folder" else 0)  # a folder is not ours to remove: nothing is kept


KEPT: dict[str, Callable[[Path], None]] = {
    name: damage for name, damage in BLOBS.items() if not name.startswith(("row", "other", "table"))
} | {
    "value altered": statement("UPDATE kept SET value = ?", b"forged"),
    "value null": statement("UPDATE kept SET value = NULL"),
    "checksum gone": statement("UPDATE kept SET checksum = NULL"),
    "other columns": statement("ALTER TABLE kept RENAME COLUMN value TO content"),
    "table gone": statement("ALTER TABLE kept RENAME TO others"),
}


@pytest.mark.parametrize("kind", KEPT)
def test_damaged_cache_of_values_gives_nothing_wrong_and_heals(tmp_path: Path, kind: str) -> None:
    values = {number.to_bytes(8, "big"): bytes([number % 251]) * 999 for number in range(300)}
    with Kept(tmp_path, "things") as kept:
        kept.put(values.items())
    KEPT[kind](tmp_path / "things.sqlite")
    for _ in range(2):
        with Kept(tmp_path, "things") as kept:
            found = kept.get(values)
            assert all(values[key] == value for key, value in found.items())
            kept.put(values.items())
    with Kept(tmp_path, "things") as kept:
        assert kept.get(values) == ({} if kind == "folder" else values)


VIEWS: dict[str, Callable[[Path], None]] = {
    "HEAD gone": lambda view: (view / "HEAD").unlink(),
    "HEAD empty": lambda view: (view / "HEAD").write_bytes(b""),
    "config damaged": lambda view: (view / "config").write_bytes(b"[core"),
    "config with a command": lambda view: (view / "config").write_bytes(b"[core]\n\tfsmonitor = touch PWNED\n"),
    "alternates gone": lambda view: (view / "objects" / "info" / "alternates").unlink(),
    "alternates elsewhere": lambda view: (view / "objects" / "info" / "alternates").write_bytes(b"/nowhere\n"),
    "attributes gone": lambda view: (view / "info" / "attributes").unlink(),
    "refs gone": lambda view: shutil.rmtree(view / "refs"),
    "objects gone": lambda view: shutil.rmtree(view / "objects"),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_damaged_view_is_made_again(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "repo.git"
    commit(folder, {"a.py": b"x = 1\n"})
    (blob,) = [line.split()[2] for line in git("ls-tree", "-r", "main", at=folder).decode().splitlines()]
    open_view(folder, tmp_path / "views")
    (view,) = (tmp_path / "views").iterdir()
    VIEWS[kind](view)
    assert list(open_view(folder, tmp_path / "views").blobs([blob])) == [b"x = 1\n"]
    assert not list(tmp_path.rglob("PWNED"))
