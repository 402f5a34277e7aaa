"""The child job of `answer`: greedy answers and losses of one model, with or without an adapter.

Whoever asks imports only the request: torch is imported when the job runs.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.model.child_main import Report
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


def answer(request: AnswerRequest, report: Report) -> dict[str, Any]:
    """Answers prompts and measures losses.

    Returns:
        `answers`: per prompt, in order, `{ids, tokens, finished}`; `rows`: per row, in order, `{nats, tokens}`; `kl`:
        mean divergence in nats per token, or null without an adapter; `seconds` per phase, `device`, `dtype`.
    """
    from tasks.model.generate import Generator, Manner, read_prompts
    from tasks.model.loading import device_name, load, name_of
    from tasks.model.scoring import divergence, losses

    began = time.monotonic()
    prompts = read_prompts(request.prompts)
    rows = [json.loads(line) for line in request.rows.read_text("utf-8").splitlines()]
    model = load(request.model, request.adapter, request.precision)
    loaded = time.monotonic()
    manner = Manner(request.stop_ids, request.pad_id)
    generator = Generator(model, manner, batch_tokens=request.batch_tokens)
    answers = generator.write(prompts, report, request.finished)
    generated = time.monotonic()
    measured = losses(model, rows, request.pad_id)
    general = [row for row in rows if request.kl_stream and row["stream"].startswith(request.kl_stream)]
    return {
        "answers": [asdict(one) for one in answers],
        "rows": measured,
        "kl": divergence(model, general) if request.adapter and general else None,
        "seconds": {
            "load": round(loaded - began, 3),
            "generate": round(generated - loaded, 3),
            "losses": round(time.monotonic() - generated, 3),
        },
        "device": device_name(),
        "dtype": name_of(model.dtype),
    }
