"""What the training job is asked. Imports no torch, so that whoever asks need not either."""

from __future__ import annotations

from pathlib import Path

from tasks.model.request import Request
from tasks.training.params import Backend, Precision, TrainingParams


class Chosen(Request):
    """A choice of backend that has been made."""

    backend: Backend
    precision: Precision
    because: str


class TrainingRequest(Request):
    """An adapter to be trained: `tasks.training.job:run`."""

    table: Path
    model: Path
    params: TrainingParams
    base_name: str
    """What the adapter says its base is."""
    checkpoints: Path
    out: Path
    """Gets adapter_model.safetensors, adapter_config.json and loss.jsonl."""
    events: Path | None = None
    """Folder for TensorBoard's files; null = none are written."""
    has_unsloth: bool = False
    """Whether it could take over."""
    choice: Chosen | None = None
    """Null = the job chooses."""
    held_out: Path | None = None
    """Rows as JSON lines whose loss a trial measures on the way; null = none."""
    looks: int = 0
    """How often."""
    general: Path | None = None
    """Rows of general text, and of samples of the base, as JSON lines; null = none are looked at."""
    general_looks: int = 0
    """How often."""
