"""The child job that has a model write; on request it keeps the likeliest tokens at each place beside the text."""

from __future__ import annotations

import time
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.model.child_main import Report
from tasks.model.generate import Continuation, Generator, Manner, read_prompts
from tasks.model.loading import device_name, load, name_of
from tasks.model.request import WritingRequest
from tasks.model.scoring import top_logprobs

SCORED_ROWS: Final = 1024
"""Texts whose likeliest tokens are in memory at a time."""


def write(request: WritingRequest, report: Report) -> dict[str, Any]:
    """Writes the file.

    Returns:
        `texts`, `tokens` made, `engine`, `device`, `dtype`, `seconds` by phase.
    """
    from transformers import AutoTokenizer

    began = time.monotonic()
    prompts = read_prompts(request.prompts)
    model = load(request.model, request.adapter, request.precision)
    loaded = time.monotonic()
    manner = Manner(request.stop_ids, request.pad_id, request.sampled, request.seed)
    generator = Generator(model, manner, request.engine, request.batch_tokens)
    made = generator.write(prompts, report, request.finished)
    written = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(str(request.model))
    columns = [
        ("ids", pa.list_(pa.int32())),
        ("tokens", pa.int32()),
        ("finished", pa.bool_()),
        ("stop", pa.int32()),
        ("text", pa.string()),
    ]
    if request.top:
        columns += [("soft_ids", pa.list_(pa.int32())), ("soft_logprobs", pa.list_(pa.float32()))]
    with pq.ParquetWriter(str(request.target), pa.schema(columns), compression="zstd") as writer:
        for start in range(0, len(made), SCORED_ROWS):
            piece = slice(start, start + SCORED_ROWS)
            table = _columns(made[piece], tokenizer)
            if request.top:
                rows = [(*prompt.ids, *one.ids) for prompt, one in zip(prompts[piece], made[piece], strict=True)]
                scored = top_logprobs(model, rows, request.pad_id, request.top)
                cut = [len(prompt.ids) for prompt in prompts[piece]]
                table["soft_ids"] = [ids[at:].ravel() for at, (ids, _) in zip(cut, scored, strict=True)]
                table["soft_logprobs"] = [found[at:].ravel() for at, (_, found) in zip(cut, scored, strict=True)]
            writer.write_table(pa.table(table, schema=writer.schema))
    return {
        "texts": len(made),
        "tokens": sum(one.tokens for one in made),
        "engine": generator.engine,
        "device": device_name(),
        "dtype": name_of(model.dtype),
        "seconds": {
            "load": round(loaded - began, 3),
            "generate": round(written - loaded, 3),
            "score": round(time.monotonic() - written, 3),
        },
    }


def _columns(made: list[Continuation], tokenizer: Any) -> dict[str, list[Any]]:
    return {
        "ids": [one.ids for one in made],
        "tokens": [one.tokens for one in made],
        "finished": [one.finished for one in made],
        "stop": [one.stop for one in made],
        "text": tokenizer.batch_decode([one.ids for one in made], skip_special_tokens=False),
    }
