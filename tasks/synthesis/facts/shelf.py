"""Facts by document, read from the artifact when the document's turn comes: offsets are in memory, texts are not."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import from_json

from tasks.text.facts import Fact


class Shelf:
    """The facts of an artifact of `synthesis/facts`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offsets: dict[str, list[int]] = {}
        with file.open("rb") as reader:
            offset = 0
            for line in reader:
                self._offsets.setdefault(from_json(line)["document_id"], []).append(offset)
                offset += len(line)

    def of(self, document_id: str) -> tuple[Fact, ...]:
        """The facts of a document, in order of their ids."""
        offsets = self._offsets.get(document_id, ())
        if not offsets:
            return ()
        found: list[Fact] = []
        with self._file.open("rb") as reader:
            for offset in offsets:
                reader.seek(offset)
                found.append(Fact.model_validate_json(reader.readline()))
        return tuple(found)
