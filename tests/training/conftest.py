"""A small training table with every trait that matters: packed rows, masked prompts, several sources, rows of
unequal length.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.base.artifacts import Artifact
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store

VOCABULARY = 49152


def write_table(folder: Path, rows: list[list[tuple[str, int, int]]], seed: int = 0) -> None:
    """Rows of parts (source, tokens, masked tokens at the part's start) with random ids."""
    random = np.random.default_rng(seed)
    columns: dict[str, list[object]] = {"id": [], "source": [], "document_id": []}
    columns |= {"input_ids": [], "labels": [], "position_ids": []}
    lines = []
    for number, parts in enumerate(rows):
        ids = [random.integers(20, VOCABULARY, tokens) for _, tokens, _ in parts]
        labels = [
            np.where(np.arange(len(part)) < masked, -100, part) for part, (_, _, masked) in zip(ids, parts, strict=True)
        ]
        columns["id"].append(f"row-{number:04d}")
        columns["source"].append("+".join(dict.fromkeys(source for source, _, _ in parts)))
        columns["document_id"].append(f"document-{number:04d}")
        columns["input_ids"].append(np.concatenate(ids).astype(np.int32))
        columns["labels"].append(np.concatenate(labels).astype(np.int32))
        columns["position_ids"].append(np.concatenate([np.arange(len(part)) for part in ids]).astype(np.int32))
        lines.append(
            {"id": f"row-{number:04d}", "parts": [{"source": source, "tokens": tokens} for source, tokens, _ in parts]}
        )
    pq.write_table(pa.table(columns), folder / "table.parquet")
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


ROWS = [
    [("raw-file", 40, 0)],
    [("raw-file", 20, 0), ("dialogue-page", 16, 9)],
    [("dialogue-page", 30, 12)],
    [("raw-pull", 25, 0), ("raw-file", 7, 0)],
    [("dialogue-page", 12, 5), ("dialogue-page", 12, 5), ("raw-wiki", 10, 0)],
]


@pytest.fixture
def table_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "table"
    folder.mkdir()
    write_table(folder, ROWS)
    return folder


@step("tests/table", "1")
def _table(run: StepRun, rows: list[list[tuple[str, int, int]]], seed: int) -> None:
    write_table(run.folder, rows, seed)


@pytest.fixture
def table_artifact(store: Store) -> Callable[..., Artifact]:
    return lambda rows=ROWS, seed=0: _table.direct(store, rows=rows, seed=seed)
