"""Files that appear whole or not at all, whatever ends their writer."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upath import UPath


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden path beside `path` to write to, which takes its place at the end of the block.

    Folders are made. If the block fails, what it wrote is removed and `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path | UPath, text: str) -> None:
    """Writes a whole UTF-8 file; folders are made. An object store shows an object only once it is complete."""
    if isinstance(path, Path):
        with replacing(path) as partial:
            partial.write_text(text, "utf-8")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
