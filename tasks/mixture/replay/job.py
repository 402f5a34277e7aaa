"""The child job of `mixture/replay`: writes the likeliest tokens beside every token of a sample.

Whoever asks imports only the request: torch is imported when the job runs.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.model.child_main import Report
from tasks.model.request import Request

ROWS: Final = 1_024
"""Scored between two reports."""


class SoftenRequest(Request):
    """The likeliest tokens at every position of rows: `tasks.mixture.replay.job:soften`."""

    model: Path
    rows: Path
    """JSON lines, a list of ids each."""
    pad_id: int
    most: int
    """Tokens per position."""
    ids: Path
    """An .npy file, made: int32 `[tokens of all rows, most]`, the likeliest first; -1 at a row's first token, which
    nothing predicts.
    """
    logprobs: Path
    """The same for their log-probabilities in nats, float16; 0 at a row's first token.
    """
    precision: str = "auto"
    """See `tasks.model.loading.dtype_of`."""


def soften(request: SoftenRequest, report: Report) -> dict[str, Any]:
    """Writes the files.

    Returns:
        `tokens` and `seconds`.
    """
    from tasks.model.loading import load
    from tasks.model.scoring import top_logprobs

    began = time.monotonic()
    rows = [json.loads(line) for line in request.rows.read_text("utf-8").splitlines()]
    model = load(request.model, precision=request.precision)
    starts = np.cumsum([0, *map(len, rows)])
    ids = np.full((starts[-1], request.most), -1, np.int32)
    logprobs = np.zeros((starts[-1], request.most), np.float16)
    for first in range(0, len(rows), ROWS):
        piece = rows[first : first + ROWS]
        for index, (likely, nats) in enumerate(top_logprobs(model, piece, request.pad_id, request.most), first):
            predicted = slice(starts[index] + 1, starts[index + 1])
            ids[predicted], logprobs[predicted] = likely[1:], nats[1:]
        report({"done": first + len(piece), "total": len(rows)})
    np.save(request.ids, ids)
    np.save(request.logprobs, logprobs)
    return {"tokens": int(starts[-1]), "seconds": round(time.monotonic() - began, 3)}
