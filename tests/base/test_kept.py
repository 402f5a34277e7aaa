import sqlite3
from contextlib import closing

import pytest

from tasks.base.kept import Kept


def test_cache_that_outgrows_its_bound_starts_empty_again(tmp_path):
    with Kept(tmp_path, "some") as cache:
        cache.put([(b"a", b"1"), (b"b", b"2")])
        cache.put([(b"a", b"another")])
        assert cache.get([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"2"}
    with Kept(tmp_path, "some", max_bytes=100) as cache:
        assert cache.get([b"a", b"b"]) == {}


@pytest.mark.parametrize("damage", ["row", "file"])
def test_damaged_cache_is_made_again_and_never_believed(tmp_path, damage):
    with Kept(tmp_path, "some") as cache:
        cache.put([(b"a", b"1"), (b"b", b"2")])
    (file,) = tmp_path.glob("some.sqlite")
    if damage == "file":
        file.write_bytes(b"no database" * 1000)
    else:
        with closing(sqlite3.connect(file)) as opened, opened:
            opened.execute("UPDATE kept SET value = ? WHERE digest = ?", (b"wrong", b"a"))
    with Kept(tmp_path, "some") as cache:
        assert cache.get([b"a", b"b"]) == ({b"b": b"2"} if damage == "row" else {})
        cache.put([(b"a", b"1"), (b"b", b"2")])
        assert cache.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}
