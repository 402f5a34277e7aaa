"""What comes out of curation: dialogues with their scores, put in order and freed of repetitions over the whole
corpus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from tasks.base.records import Dialogue, Record, Verdict
from tasks.synthesis.duplicates import Asked


class Scored(Record):
    """A judge's scores of one dialogue, as they stand in `scores.jsonl`."""

    id: str
    scores: dict[str, str]


@dataclass(frozen=True)
class Curated:
    """A dialogue that passed, with the judge's scores; empty if no judge saw it."""

    dialogue: Dialogue
    scores: dict[str, str] = field(default_factory=dict)


class Finished(Record):
    """A dialogue as it was written to the spool, so that nobody has to parse and write it again."""

    id: str
    method: str
    written: bytes

    def line(self) -> str:
        """The dialogue's own JSON line."""
        return self.written.decode()

    def dialogue(self) -> Dialogue:
        """The dialogue itself."""
        return Dialogue.model_validate_json(self.written)


class Spool:
    """Holds dialogues on disk until all are there, then gives them in order of their ids. In memory are ids and
    offsets.
    """

    def __init__(self) -> None:
        self._file: Any = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        self._places: list[tuple[str, int]] = []
        self.scores: list[Scored] = []

    def add(self, curated: Curated) -> None:
        """Takes a dialogue in."""
        self._places.append((curated.dialogue.id, self._file.tell()))
        self._file.write(curated.dialogue.line().encode() + b"\n")
        if curated.scores:
            self.scores.append(Scored(id=curated.dialogue.id, scores=curated.scores))

    def ordered(self) -> Iterator[Finished | Verdict]:
        """Dialogues in order of id; for one whose question was asked before, anywhere in the corpus, a verdict."""
        asked = Asked()
        dropped: set[str] = set()
        for identifier, offset in sorted(self._places):
            self._file.seek(offset)
            written = self._file.readline().removesuffix(b"\n")
            found = from_json(written, cache_strings="keys")
            question, answer = found["messages"][0]["content"], found["messages"][-1]["content"]
            twin = asked.before(question, answer, near=found["provenance"]["model"] != "template")
            if twin is not None:
                dropped.add(identifier)
                yield Verdict(id=identifier, reason=twin, detail=question)
                continue
            yield Finished(id=identifier, method=found["method"], written=written)
        self.scores = [score for score in self.scores if score.id not in dropped]

    def close(self) -> None:
        """Removes the file."""
        self._file.close()
