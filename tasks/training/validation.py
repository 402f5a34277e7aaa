"""Rows whose loss is measured during training: held-out ones, general text, samples of the base.

The rows come as JSON lines with `stream`, `input_ids` and `labels`. Each is computed alone, never packed, and a
stream's loss is its nats over its tokens, so no figure depends on how rows were batched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.base.errors import InputError
from tasks.base.records import IGNORED
from tasks.text.loss_rows import GENERAL
from tasks.training.ranks import add_up, world
from tasks.training.table import Rows

SAMPLES: Final = "samples"
"""Texts that the base wrote and that are not trained on (`mixture/assemble`): a stream per kind (`samples:chat`)."""

Losses = Callable[[Rows], float]
"""Gives the sum of the losses of a row's targets, in nats."""


def look_steps(steps: int, looks: int) -> tuple[int, ...]:
    """Steps after which the loss is measured: evenly spaced, the last at the end; at most all steps."""
    return tuple(sorted({math.ceil(steps * look / looks) for look in range(1, looks + 1)}))


class Validation:
    """The rows, and when they are looked at."""

    def __init__(self, path: Path, steps: int, looks: int) -> None:
        """Reads the rows.

        Raises:
            InputError: there are none.
        """
        self.rows = read_rows(path)
        if not self.rows:
            raise InputError("dataset.validation_fraction: no document is held out, so a search has nothing to measure")
        self._due = frozenset(look_steps(steps, looks))

    def is_due(self, step: int) -> bool:
        """Whether the loss is to be measured after this optimizer step."""
        return step in self._due

    def measure(self, losses: Losses) -> dict[str, float]:
        """Nats per token by stream, streams in order of their names."""
        return stream_means(self.rows, losses)


class GeneralLoss:
    """What the model forgets: its loss on general text above the base's, and its divergence from the base.

    A sample that the base drew at temperature 1 costs the tuned model more than the base by their divergence on
    average, so that the rise of the loss on such samples, none of which is trained on, estimates KL(base ‖ tuned).
    """

    def __init__(self, path: Path, steps: int, looks: int) -> None:
        """Reads the rows: streams `general_loss:<domain>` and perhaps `samples:<stream>`."""
        self.rows = read_rows(path)
        self._due = frozenset(look_steps(steps, looks))
        self._tokens = {stream: sum(row.targets for row in rows) for stream, rows in self.rows.items()}

    def is_due(self, step: int) -> bool:
        """Whether it is to be measured after this optimizer step."""
        return step in self._due

    def measure(self, losses: Losses) -> dict[str, float]:
        """Nats per token by stream, the same in every process of a group."""
        return _agreed(stream_means(self.rows, losses))

    def rise(self, base: dict[str, float], now: dict[str, float]) -> dict[str, Any]:
        """How far the losses are above the base's, in nats per token.

        Args:
            base: as `measure` gave it before the first step.
            now: as it gives it.

        Returns:
            `above_base` (over all general tokens), `kl_to_base` (over all samples; only where there are any) and
            `streams` (by stream).
        """
        rises = {stream: now[stream] - base[stream] for stream in sorted(now)}
        facts: dict[str, Any] = {"above_base": self._mean(rises, GENERAL)}
        if any(stream.startswith(SAMPLES) for stream in rises):
            facts["kl_to_base"] = self._mean(rises, SAMPLES)
        return facts | {"streams": rises}

    def _mean(self, rises: dict[str, float], family: str) -> float:
        chosen = [stream for stream in rises if stream.startswith(family)]
        total = sum(self._tokens[stream] for stream in chosen)
        return sum(rises[stream] * self._tokens[stream] for stream in chosen) / total


def read_rows(path: Path) -> dict[str, list[Rows]]:
    """Rows by stream; those without a token under the loss are left out."""
    by_stream: dict[str, list[Rows]] = {}
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        row = _row(record["input_ids"], record["labels"])
        if row.targets:
            by_stream.setdefault(record["stream"], []).append(row)
    return by_stream


def stream_means(rows: dict[str, list[Rows]], losses: Losses) -> dict[str, float]:
    """Nats per token by stream, streams in order of their names."""
    return {
        stream: sum(losses(row) for row in of_stream) / sum(row.targets for row in of_stream)
        for stream, of_stream in sorted(rows.items())
    }


def _agreed(means: dict[str, float]) -> dict[str, float]:
    """The mean over the processes of a group, so that none stops where another one goes on."""
    if world() == 1:
        return means
    import torch

    on = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    values = torch.tensor(list(means.values()), dtype=torch.float64, device=on)
    add_up(values)
    return dict(zip(means, (values / world()).tolist(), strict=True))


def mean_loss(streams: dict[str, float]) -> float:
    """The one figure of a look: each stream counts alike, however many tokens it has."""
    return sum(streams.values()) / len(streams)


def _row(input_ids: list[int], labels: list[int]) -> Rows:
    ids, aims = np.asarray(input_ids, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    aims[0] = IGNORED
    return Rows(ids, aims, np.arange(len(ids)), np.zeros(len(ids), dtype=np.int64))
