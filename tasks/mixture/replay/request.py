"""What the child job of the replay is asked. Imports no torch, so that whoever asks need not either."""

from __future__ import annotations

from pathlib import Path

from tasks.model.request import Request


class SoftenRequest(Request):
    """The likeliest tokens at every position of rows: `tasks.mixture.replay.job:soften`."""

    model: Path
    rows: Path
    """JSON lines, a list of ids each."""
    pad_id: int
    most: int
    """Tokens per position."""
    target: Path
    """An .npz file, made: `ids` int32 and `logprobs` float16, both [tokens of all rows, most], likeliest first; at a
    row's first token, which nothing predicts, -1 and 0.
    """
    precision: str = "auto"
    """See `tasks.model.loading.dtype_of`."""
