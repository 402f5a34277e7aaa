"""What the child job of this room is asked. Imports no torch, so that whoever asks need not either."""

from __future__ import annotations

from pathlib import Path

from tasks.model.request import Request


class AnswerRequest(Request):
    """What one arm is asked: `tasks.evaluation.answer_job:answer`."""

    model: Path
    adapter: Path | None
    prompts: Path
    """JSON lines with `ids` and `limit`, the most new tokens."""
    rows: Path
    """JSON lines with `stream`, `input_ids`, `labels`."""
    finished: Path
    """Log of finished batches, made if missing."""
    batch_tokens: int
    """Prompt and answer tokens of a batch on a CPU."""
    stop_ids: tuple[int, ...]
    pad_id: int
    precision: str = "auto"
    """See `tasks.model.loading.dtype_of`."""
    kl_stream: str | None
    """Beginning of the streams on which the divergence from the base is measured too; null = none."""
