"""What the child jobs of this room are asked: one pydantic model per job, checked on both sides.

Imports no torch, so that whoever asks need not either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Engine = Literal["auto", "places", "plain", "continuous"]
"""See `generate.py`."""


class Request(BaseModel):
    """Base of the requests. Folders and files are paths of this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WritingRequest(Request):
    """Texts that a model is to write: `tasks.model.generate:write`."""

    model: Path
    adapter: Path | None = None
    prompts: Path
    """JSON lines with `ids` and `limit` (most new tokens), perhaps `stops` (ids that end this text) and `name`
    (which decides its samples beside the seed, instead of its number).
    """
    target: Path
    """A parquet file, made: a row per prompt, in order, with `ids` (int32, without the stop token), `tokens` (with it),
    `finished`, `stop` (which token, or null), `text`.
    """
    finished: Path | None = None
    """Log of finished batches, made if missing: an interrupted job goes on from it. Null = none."""
    stop_ids: tuple[int, ...]
    pad_id: int
    sampled: bool = False
    """At temperature 1 from the whole distribution; else greedy."""
    seed: int = 0
    engine: Engine = "auto"
    batch_tokens: int | None = None
    """Prompt and new tokens of a batch on a CPU; null = 8192."""
    precision: str = "auto"
    """See `loading.dtype_of`."""


class VllmRequest(Request):
    """Texts that a model is to write in vLLM: `tasks.model.vllm_job:write`."""

    model: Path
    adapter: Path | None
    prompts: Path
    """JSON lines with `ids` and `limit`, the most new tokens."""
    finished: Path
    """Log of finished batches, made if missing."""
    stop_ids: tuple[int, ...]
    pad_id: int
    sampled: bool = False
    """At temperature 1; else greedy."""
    seed: int = 0
    precision: str = "auto"


class MergeRequest(Request):
    """An adapter to be added to its base: `tasks.model.convert:merge`."""

    model: Path
    adapter: Path
    target: Path
    """Folder."""


class GgufSource(Request):
    """A GGUF file to be unpacked: `tasks.model.convert:stub_from_gguf` and `tokenizer_from_gguf`."""

    gguf: Path
    target: Path
    """Folder."""


class RandomLlama(Request):
    """A model with random weights: `tasks.model.convert:random_llama`."""

    config: dict[str, Any]
    """Fields of transformers' `LlamaConfig`."""
    tokenizer: Path
    """Folder of the tokenizer that is copied beside it."""
    seed: int
    target: Path
    """Folder."""
