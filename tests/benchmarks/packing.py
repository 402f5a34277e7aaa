"""Packing: rows, fill, tokens lost and seconds of `best_fit` beside TRL's `bfd`, `bfd_split` and `wrapped`, in the same
run.

    python tests/benchmarks/packing.py                                   # drawn lengths, 200,000 parts
    python tests/benchmarks/packing.py CHUNKS.jsonl 8192                 # records.jsonl of a corpus/chunk artifact

TRL packs token lists, so its seconds include moving them; `ours + table` therefore writes the finished Parquet table
too. All get the same parts, none longer than a row, except the last line: documents as they come, of which TRL's
default strategy drops whatever exceeds a row.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tasks.base.records import Chunk
from tasks.mixture.table.rows import Part, Row, TableWriter, best_fit

SEED = 0


def drawn_lengths(count: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Documents log-normal like a repository's files (median 400 tokens), and the same cut into full chunks."""
    drawn = np.random.default_rng(SEED).lognormal(mean=6.0, sigma=1.2, size=count).astype(int) + 1
    pieces = [piece for length in drawn for piece in [longest] * (length // longest) + [length % longest] if piece]
    return drawn, np.asarray(pieces)


def chunk_lengths(chunks: Path) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each document, and of each chunk, its end token included where the document ends."""
    documents: Counter[str] = Counter()
    pieces = []
    for line in chunks.read_text("utf-8").splitlines():
        chunk = Chunk.model_validate_json(line)
        pieces.append(chunk.tokens + chunk.last)
        documents[chunk.document_id] += pieces[-1]
    return np.asarray(list(documents.values())), np.asarray(pieces)


def fewest_rows(lengths: np.ndarray, capacity: int) -> int:
    """Rows that no packing can do without (Martello and Toth's bound L2): parts over half a row never share one."""
    best = 0
    for small in range(0, capacity // 2 + 1, max(1, capacity // 512)):
        alone = lengths > capacity - small
        large = (lengths > capacity / 2) & ~alone
        fill = (lengths <= capacity / 2) & (lengths >= small)
        space = large.sum() * capacity - lengths[large].sum()
        rest = max(0, int(lengths[fill].sum() - space))
        best = max(best, int(alone.sum() + large.sum()) - (-rest // capacity))
    return best


def ours(lengths: np.ndarray, capacity: int) -> tuple[int, int]:
    rows = best_fit(lengths, capacity)
    return len(rows), int(lengths.sum())


def ours_with_table(lengths: np.ndarray, capacity: int) -> tuple[int, int]:
    rows = best_fit(lengths, capacity)

    def zeros(numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        size = int(lengths[np.asarray(numbers)].sum())
        return np.zeros(size, np.int32), np.zeros(size, np.int32)

    with tempfile.TemporaryDirectory() as folder:
        table = TableWriter(Path(folder) / "table.parquet", zeros)
        for index, numbers in enumerate(rows):
            parts = tuple(
                Part(id="", source="", document_id="", tokens=int(lengths[n]), trained_tokens=0, copy_number=0)
                for n in numbers
            )
            table.append(Row(id=str(index), tokens=sum(part.tokens for part in parts), parts=parts), numbers)
        table.close()
    return len(rows), int(lengths.sum())


def trl(strategy: str) -> Callable[[np.ndarray, int], tuple[int, int]]:
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars
    from trl import pack_dataset

    disable_progress_bars()

    def pack(lengths: np.ndarray, capacity: int) -> tuple[int, int]:
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        ids = pa.LargeListArray.from_arrays(offsets, np.zeros(offsets[-1], dtype=np.int32))
        dataset = Dataset(pa.table({"input_ids": ids})).with_format("arrow")
        packed = pack_dataset(dataset, capacity, strategy, map_kwargs={"batch_size": len(lengths)})
        return len(packed), sum(len(row) for row in packed.with_format("arrow")[:]["input_ids"])

    return pack


def main() -> None:
    """Prints a table per capacity."""
    methods = {"ours": ours, "ours + table": ours_with_table} | {
        f"trl {name}": trl(name) for name in ("bfd", "bfd_split", "wrapped")
    }
    for capacity in [int(sys.argv[2])] if len(sys.argv) == 3 else [1024, 8192]:
        documents, parts = chunk_lengths(Path(sys.argv[1])) if len(sys.argv) == 3 else drawn_lengths(200_000, capacity)
        title = f"{len(parts):,} parts of {len(documents):,} documents, {parts.sum():,} tokens, rows of {capacity:,}"
        title += f"; no packing of whole parts has fewer than {fewest_rows(parts, capacity):,} rows"
        table = Table(title=title, title_justify="left")
        for column in ("method", "rows", "full", "tokens lost", "seconds", "parts cross rows"):
            table.add_column(column, justify="left" if column == "method" else "right")
        runs = [(name, method, parts) for name, method in methods.items()]
        runs.append(("trl bfd, documents uncut", methods["trl bfd"], documents))
        for name, method, lengths in runs:
            started = time.perf_counter()
            rows, kept = method(lengths, capacity)
            seconds = time.perf_counter() - started
            full, lost = kept / rows / capacity, lengths.sum() - kept
            crosses = "yes" if name == "trl wrapped" else "no"
            table.add_row(name, f"{rows:,}", f"{full:.2%}", f"{lost:,}", f"{seconds:.2f}", crosses)
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
