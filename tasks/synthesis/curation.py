"""What comes out of curation: dialogues with their scores, put in order and freed of repetitions over the whole
corpus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from tasks.base.records import Dialogue, Record, Verdict
from tasks.synthesis.duplicates import Asked, wording

TEMPLATE: Final = "template"
"""What stands in the provenance of a dialogue that no model wrote."""


class Scored(Record):
    """A judge's scores of one dialogue, as they stand in `scores.jsonl`."""

    id: str
    scores: dict[str, str]


@dataclass(frozen=True)
class Curated:
    """A dialogue that passed, with the judge's scores; empty if no judge saw it."""

    dialogue: Dialogue
    scores: dict[str, str] = field(default_factory=dict)


class Finished(NamedTuple):
    """A dialogue as it was written to the spool, so that nobody has to parse and write it again."""

    id: str
    method: str
    kind: str
    written: bytes

    def line(self) -> str:
        """The dialogue's own JSON line."""
        return self.written.decode()

    def dialogue(self) -> Dialogue:
        """The dialogue itself."""
        return Dialogue.model_validate_json(self.written)


class Place(NamedTuple):
    """Where a dialogue lies in the spool."""

    id: str
    offset: int
    method: str
    kind: str
    wording: bytes | None
    """Of a template's question; None of one that a model wrote, which is compared with those that are alike."""


class Spool:
    """Holds dialogues on disk until all are there, then gives them in order of their ids. In memory are ids, offsets
    and hashes.
    """

    def __init__(self) -> None:
        self._file: Any = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        self._size = 0
        self._places: list[Place] = []
        self.scores: list[Scored] = []

    def add(self, curated: Curated) -> None:
        """Takes a dialogue in."""
        dialogue = curated.dialogue
        question = dialogue.messages[0].content
        exact = wording(question) if dialogue.provenance.model == TEMPLATE else None
        self._places.append(Place(dialogue.id, self._size, dialogue.method, dialogue.kind, exact))
        self._size += self._file.write(dialogue.line().encode() + b"\n")
        if curated.scores:
            self.scores.append(Scored(id=dialogue.id, scores=curated.scores))

    def ordered(self) -> Iterator[Finished | Verdict]:
        """Dialogues in order of id; for one whose question was asked before, anywhere in the corpus, a verdict."""
        asked = Asked()
        dropped: set[str] = set()
        for place in sorted(self._places, key=attrgetter("id", "offset")):
            self._file.seek(place.offset)
            written = self._file.readline().removesuffix(b"\n")
            if twin := _twin(asked, place, written):
                dropped.add(place.id)
                yield Verdict(id=place.id, reason=twin, detail=_turns(written)[0])
                continue
            yield Finished(place.id, place.method, place.kind, written)
        self.scores = [score for score in self.scores if score.id not in dropped]

    def close(self) -> None:
        """Removes the file."""
        self._file.close()


def _twin(asked: Asked, place: Place, written: bytes) -> str | None:
    if place.wording is not None:
        return "duplicate" if asked.worded_before(place.wording) else None
    turns = _turns(written)
    return asked.before(turns[0], turns[-1], near=True)


def _turns(written: bytes) -> list[str]:
    return [message["content"] for message in from_json(written)["messages"]]
