import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.records import IGNORED
from tasks.mixture.table.assemble import TokenSpill
from tasks.mixture.table.rows import GROUP_TOKENS, Part, Row, TableWriter, best_fit

CAPACITY = 16
tokens = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=CAPACITY)


def written(parts, folder: Path, group_tokens: int = GROUP_TOKENS) -> tuple[Path, list[list[int]], TokenSpill]:
    spill = TokenSpill(folder / "spill")
    with spill:
        for part in parts:
            ids = np.asarray([token for token, _ in part], dtype=np.int32)
            mask = np.asarray([trained for _, trained in part])
            spill.append(ids, mask, np.asarray([len(ids)]))
        spill.close()
        rows = best_fit(spill.lengths, CAPACITY)
        writer = TableWriter(folder / "table.parquet", spill.parts, group_tokens)
        for index, numbers in enumerate(rows):
            members = tuple(
                Part(
                    id=f"p{number}",
                    source=f"raw-{number % 2}",
                    document_id=f"d{number}",
                    tokens=int(spill.lengths[number]),
                    trained_tokens=int(spill.trained[number]),
                    copy_number=0,
                )
                for number in numbers
            )
            writer.append(Row(id=f"row-{index}", tokens=sum(part.tokens for part in members), parts=members), numbers)
        writer.close()
    return folder / "table.parquet", rows, spill


@given(st.lists(tokens, min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_rows_hold_every_token_and_mask_of_their_parts(parts):
    with tempfile.TemporaryDirectory() as folder:
        path, rows, spill = written(parts, Path(folder))
        found = pq.read_table(path).to_pylist()
    assert len(found) == len(rows)
    for numbers, row in zip(rows, found, strict=True):
        assert row["input_ids"] == [token for number in numbers for token, _ in parts[number]]
        assert row["position_ids"] == [place for number in numbers for place in range(len(parts[number]))]
        masks = [trained and place > 0 for number in numbers for place, (_, trained) in enumerate(parts[number])]
        labels = [token if trained else IGNORED for token, trained in zip(row["input_ids"], masks, strict=True)]
        assert row["labels"][1:] == labels[1:]  # nothing is shifted onto a row's first label, so it may stay
        assert sum(masks) == sum(spill.trained[number] for number in numbers)


def test_many_row_groups_read_as_one_table_and_give_the_same_bytes(tmp_path):
    parts = [[(number % 10, True)] * (1 + number % CAPACITY) for number in range(100)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, rows, _ = written(parts, tmp_path / "a", 40)
    second, _, _ = written(parts, tmp_path / "b", 40)
    assert pq.ParquetFile(first).num_row_groups > 10
    assert pq.read_table(first, memory_map=True).num_rows == len(rows)
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def test_datasets_reads_the_table(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import Dataset

    path, rows, _ = written([[(1, False), (2, True)], [(3, True)]], tmp_path)
    dataset = Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert len(dataset) == len(rows) == 1
    assert dataset[0] == {
        "id": "row-0",
        "source": "raw-0+raw-1",
        "document_id": "d0\nd1",
        "input_ids": [1, 2, 3],
        "labels": [IGNORED, 2, IGNORED],
        "position_ids": [0, 1, 0],
    }
