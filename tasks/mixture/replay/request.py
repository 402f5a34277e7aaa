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
    ids: Path
    """An .npy file, made: int32 `[tokens of all rows, most]`, the likeliest first; -1 at a row's first token, which
    nothing predicts.
    """
    logprobs: Path
    """The same for their log-probabilities in nats, float16; 0 at a row's first token.
    """
    precision: str = "auto"
    """See `tasks.model.loading.dtype_of`."""
