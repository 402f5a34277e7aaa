"""The child job that has a model write."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.model.child_main import Report
from tasks.model.generate import Continuation, Generator, Manner, read_prompts
from tasks.model.holding import held
from tasks.model.loading import device_name, load, name_of
from tasks.model.request import WritingRequest


def write(request: WritingRequest, report: Report) -> dict[str, Any]:
    """Writes the file.

    Returns:
        `texts`, `tokens` made, `engine`, `device`, `dtype`, `seconds` by phase.
    """
    from transformers import AutoTokenizer

    began = time.monotonic()
    prompts = read_prompts(request.prompts)
    name = f"writes, {request.model} with {request.adapter} in {request.precision}"
    model = held(name, lambda: load(request.model, request.adapter, request.precision))
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
    pq.write_table(pa.table(_columns(made, tokenizer), schema=pa.schema(columns)), request.target, compression="zstd")
    return {
        "texts": len(made),
        "tokens": sum(one.tokens for one in made),
        "engine": generator.engine,
        "device": device_name(),
        "dtype": name_of(model.dtype),
        "seconds": {
            "load": round(loaded - began, 3),
            "generate": round(written - loaded, 3),
            "write": round(time.monotonic() - written, 3),
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
