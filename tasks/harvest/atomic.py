"""Writing files of the cache whole or not at all, so that a killed run leaves nothing half-written."""

from __future__ import annotations

import uuid
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a file beside its place and moves it there; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{uuid.uuid4().hex[:8]}")
    partial.write_text(text, "utf-8")
    partial.replace(path)
