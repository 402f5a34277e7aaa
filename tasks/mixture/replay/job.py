"""The child job of `mixture/replay`: the model's likeliest tokens beside every token of its samples."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import numpy as np

from tasks.mixture.replay.request import SoftenRequest
from tasks.model.child_main import Report
from tasks.model.loading import load
from tasks.model.scoring import top_logprobs

ROWS: Final = 1_024
"""Scored between two reports."""


def soften(request: SoftenRequest, report: Report) -> dict[str, Any]:
    """Writes the files.

    Returns:
        `tokens` and `seconds`.
    """
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
