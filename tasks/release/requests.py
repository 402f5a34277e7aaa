"""What the child jobs of this room are asked. Imports no torch, so that whoever asks need not either."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from tasks.model.request import Request

RETRIEVAL: Final = "-retrieval"
"""What the names of the models that are shown passages end in, as the evaluation's arms do."""


def served_models(sources: bool) -> tuple[str, ...]:
    """What the models of a server are called, the one that clients take by default first."""
    plain = ("tuned", "base")
    return (*(f"{name}{RETRIEVAL}" for name in plain), *plain) if sources else plain


class Text(Request):
    """A text as the trained model's tokenizer reads it."""

    text: str
    ids: tuple[int, ...]


class CompareRequest(Request):
    """Exports to be compared with the adapter as trained: `tasks.release.compare_job:compare`."""

    model: Path
    adapter: Path
    exports: dict[str, Path]
    """A folder or a .gguf file by name."""
    prompts: tuple[tuple[int, ...], ...]
    texts: tuple[Text, ...]
    max_new_tokens: int
    stop_ids: tuple[int, ...]
    pad_id: int


class ServeRequest(Request):
    """A release to be served beside its base: `tasks.release.serve_job:serve`."""

    model: Path
    release: Path
    """Folder whose adapter, tokenizer and generation settings are used."""
    host: str
    port: int
    """0 = any free one."""
    key: str | None = Field(repr=False)
    """What requests must bear; null = nothing."""
    hosts: tuple[str, ...]
    """Names under which the server may be asked; empty = any."""
    sources: Path | None = None
    """Folder of the index that the models with retrieval are asked with; null = there are no such models."""
    retrieved_passages: int = 0
    """How many passages of it stand before a question."""


class GgufRequest(Request):
    """A merged model to be written as GGUF: `tasks.release.gguf_job:write`."""

    model: Path
    folder: Path
    """Where the files go."""
    quantizations: tuple[str, ...]
    """As llama-quantize calls them."""
    name: str
    """Of the model, in the files, whose names begin with it."""
