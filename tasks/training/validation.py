"""Held-out rows whose loss is measured while training goes on.

The rows come as JSON lines with `stream`, `input_ids` and `labels` (`evaluation/held-out`). Each is computed alone,
never packed, and a stream's loss is its nats over its tokens, so no figure depends on how rows were batched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tasks.base.errors import InputError
from tasks.base.records import IGNORED
from tasks.training.table import Rows

Losses = Callable[[Rows], float]
"""Gives the sum of the losses of a row's targets, in nats."""


def look_steps(steps: int, looks: int) -> tuple[int, ...]:
    """Steps after which the loss is measured: evenly spaced, the last at the end; fewer where steps are fewer."""
    return tuple(sorted({math.ceil(steps * look / looks) for look in range(1, looks + 1)}))


class Validation:
    """The rows, and when they are looked at."""

    def __init__(self, path: Path, steps: int, looks: int) -> None:
        """Reads the rows.

        Raises:
            InputError: there are none.
        """
        self.rows: dict[str, list[Rows]] = {}
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            row = _row(record["input_ids"], record["labels"])
            if row.targets:
                self.rows.setdefault(record["stream"], []).append(row)
        if not self.rows:
            raise InputError("dataset.validation_fraction: no document is held out, so a search has nothing to measure")
        self._due = frozenset(look_steps(steps, looks))

    def is_due(self, step: int) -> bool:
        """Whether the loss is to be measured after this optimizer step."""
        return step in self._due

    def measure(self, losses: Losses) -> dict[str, float]:
        """Nats per token by stream, streams in order of their names."""
        return {
            stream: sum(losses(row) for row in rows) / sum(row.targets for row in rows)
            for stream, rows in sorted(self.rows.items())
        }


def mean_loss(streams: dict[str, float]) -> float:
    """The one figure of a look: each stream counts alike, however many tokens it has."""
    return sum(streams.values()) / len(streams)


def _row(input_ids: list[int], labels: list[int]) -> Rows:
    ids, aims = np.asarray(input_ids, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    aims[0] = IGNORED
    return Rows(ids, aims, np.arange(len(ids)), np.zeros(len(ids), dtype=np.int64))
