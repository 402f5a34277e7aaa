"""A file that is written is seen whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.base.batching import by_padded_length, by_size
from tasks.base.files import replacing, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.json"
    write_text(path, "old")
    with pytest.raises(FileNotFoundError), replacing(path) as partial:
        partial.write_text(path.with_name("missing").read_text("utf-8"), "utf-8")
    assert path.read_text("utf-8") == "old"
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "begins well and ends in a lone surrogate \ud800")
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]
    assert path.read_text("utf-8") == "old"


def test_portions_end_with_the_member_that_reaches_the_limit() -> None:
    assert list(by_size(["aa", "b", "cccc", "d"], len, 3)) == [["aa", "b"], ["cccc"], ["d"]]
    assert list(by_size([], len, 3)) == []


def test_portions_hold_similar_lengths_within_the_padded_limit() -> None:
    assert list(by_padded_length([5, 1, 2, 30, 2], 1, 9)) == [[1, 2, 4], [0], [3]]
