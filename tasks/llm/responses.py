"""Cached responses, one small file per request hash. Only answers that passed the schema are kept; a failure never
is.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from tasks.base.files import write_text
from tasks.llm.calls import Call


class Responses:
    """A folder of answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, call: Call) -> BaseModel | None:
        """The answer to an equal call, or None; a file that is not such an answer counts as none."""
        try:
            return call.schema.model_validate(json.loads(self._path(call).read_text("utf-8"))["answer"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, call: Call, answer: BaseModel) -> None:
        """Keeps an answer; it appears whole or not at all."""
        document = {"call": call.id, "model": call.model, "answer": answer.model_dump(mode="json")}
        write_text(self._path(call), json.dumps(document, ensure_ascii=False))

    def _path(self, call: Call) -> Path:
        return self.folder / call.digest[:2] / f"{call.digest}.json"
