"""Blobs are read from git once."""

import datetime
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasks.base.ledger import ledger
from tasks.base.store import Store
from tasks.harvest.git.blob_cache import BlobCache
from tasks.harvest.git.repository import git, open_view
from tasks.harvest.params import Servers, SourceParams
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tests.harvest.histories import Files, History, commit

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)


def work(store: Store, name: str) -> dict[str, int]:
    """What the snapshot of a run noted in the ledger."""
    (entry,) = Path(store.uri, "ledger", name, "harvest").iterdir()
    found: dict[str, int] = json.loads(entry.read_text())
    return {key: found[key] for key in ("blobs_read", "blobs_fetched")}


def test_snapshot_later_run_reads_only_changed_blobs(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "repo.git"
    history = History()
    files: Files = {f"f{number}.py": f"x = {number}\n".encode() for number in range(20)}
    first = history.commit("refs/heads/main", files | {"a.bin": b"\0\1", "yarn.lock": b"never read\n"}, 0)
    second = history.commit("refs/heads/main", {"f3.py": b"y = 3\n", "new.py": b"new\n", "f4.py": None}, 9, [first])
    history.commit("refs/heads/main", {"g1.py": files["f1.py"], "f1.py": None}, 19, [second])
    history.write(folder)

    def harvested(target: Store, name: str, day: str) -> str:
        asked = SourceParams.model_validate({"repo": str(folder), "as_of": day})
        with ledger(target, name):
            found = resolve_source(asked, Servers(), NOW, target)
            return snapshot.direct(target, source=found.snapshot, params=asked.files).sha256

    days = {"one": "2023-01-02", "two": "2023-01-12", "three": "2023-01-22"}
    warm = [harvested(store, *item) for item in days.items()]
    assert [work(store, name)["blobs_read"] for name in days] == [22, 2, 0]  # a moved file is no new blob
    for (name, day), sha256 in zip(days.items(), warm, strict=True):
        cold = Store(str(tmp_path / name))
        assert harvested(cold, name, day) == sha256


@pytest.mark.parametrize("damage", ["row", "file"])
def test_snapshot_damaged_blob_cache_changes_nothing(tmp_path: Path, store: Store, damage: str) -> None:
    folder = tmp_path / "repo.git"
    commit(folder, {f"f{number}.py": f"x = {number}\n".encode() for number in range(5)})
    cache = BlobCache(tmp_path / "blobs", open_view(folder, tmp_path))
    ids = [line.split()[2] for line in git("--git-dir", str(folder), "ls-tree", "-r", "main").decode().splitlines()]
    before = list(cache.blobs(ids))
    (file,) = (tmp_path / "blobs").iterdir()
    if damage == "file":
        file.write_bytes(b"no database" * 1000)
    else:
        with closing(sqlite3.connect(file)) as opened, opened:
            opened.execute("UPDATE blobs SET data = ? WHERE id = ?", (b"x = 7\n", ids[2]))
    again = BlobCache(tmp_path / "blobs", open_view(folder, tmp_path))
    assert list(again.blobs(ids)) == before
    assert again.blobs_read == {"row": 1, "file": 5}[damage]
