"""Packing to a fixed length: best-fit decreasing, nothing cut, nothing discarded.

Same result as TRL's `bfd` on parts that fit (which is what chunking guarantees); the open rows are found by a bit per
remaining space in one Python integer, which makes it faster than TRL's segment tree (`tests/benchmarks/packing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def best_fit(lengths: Sequence[int] | NDArray[np.int64], capacity: int) -> list[list[int]]:
    """Assigns every part to a row so that rows are few and full.

    Args:
        lengths: tokens of each part, each from 1 to `capacity`.
        capacity: tokens of a row.

    Returns:
        For each row the numbers of its parts, ascending. Deterministic: longest first, ties by number, into the fullest
        row that has room.

    Raises:
        ValueError: a part is empty or longer than a row.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if len(sizes) and (sizes.min() < 1 or sizes.max() > capacity):
        raise ValueError(f"lengths must lie between 1 and {capacity}; found {sizes.min()} to {sizes.max()}")
    rows: list[list[int]] = []
    waiting: list[list[int]] = [[] for _ in range(capacity + 1)]  # rows by remaining space
    spaces = 0  # bit n is set when some row has n tokens of space left
    for part in np.argsort(-sizes, kind="stable").tolist():
        length = int(sizes[part])
        candidates = spaces >> length
        if candidates:
            space = length + (candidates & -candidates).bit_length() - 1
            row = waiting[space].pop()
            if not waiting[space]:
                spaces ^= 1 << space
        else:
            space, row = capacity, len(rows)
            rows.append([])
        rows[row].append(part)
        left = space - length
        if left:
            waiting[left].append(row)
            spaces |= 1 << left
    return [sorted(row) for row in rows]
