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
from tasks.llm.prices import count_tokens
from tasks.synthesis.duplicates import Asked, wording
from tasks.synthesis.quotas import QuotaParams, Weighed, within
from tasks.text.paths import is_test

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
    rank: int = 0
    """Which wording of its fact it is, from 0."""


class Finished(NamedTuple):
    """A dialogue as it was written to the spool, so that nobody has to parse and write it again."""

    id: str
    method: str
    kind: str
    tokens: int
    """Of the answer, by o200k."""
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
    tokens: int
    """Of the answer."""
    whole: int
    """Tokens of question and answer."""
    rank: int
    is_test: bool
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
        about = dialogue.provenance.document_id.partition("/file/")[2]
        tokens = count_tokens(dialogue.messages[-1].content)
        self._places.append(
            Place(
                dialogue.id,
                self._size,
                dialogue.method,
                dialogue.kind,
                tokens,
                tokens + count_tokens(question),
                curated.rank,
                is_test(about),
                exact,
            )
        )
        self._size += self._file.write(dialogue.line().encode() + b"\n")
        if curated.scores:
            self.scores.append(Scored(id=dialogue.id, scores=curated.scores))

    def ordered(self, quotas: QuotaParams | None = None, refusals: float = 1.0) -> Iterator[Finished | Verdict]:
        """Dialogues in order of id; a verdict for one whose question was asked before, anywhere in the corpus, and for
        one that the quotas leave out.
        """
        asked = Asked()
        twins: dict[str, str] = {}
        places = sorted(self._places, key=attrgetter("id", "offset"))
        first: list[Place] = []
        for place in places:
            if twin := _twin(asked, place, b"" if place.wording is not None else self._line(place)):
                twins[f"{place.id} {place.offset}"] = twin
            else:
                first.append(place)
        weighed = [Weighed(one.id, one.kind, one.tokens, one.whole, one.rank, one.is_test) for one in first]
        kept = {one.id for one in first} if quotas is None else within(weighed, quotas, refusals)
        for place in places:
            if twin := twins.get(f"{place.id} {place.offset}"):
                yield Verdict(id=place.id, reason=twin, detail=_turns(self._line(place))[0])
            elif place.id not in kept:
                yield Verdict(id=place.id, reason="over-quota", detail=place.kind)
            else:
                yield Finished(place.id, place.method, place.kind, place.tokens, self._line(place))
        self.scores = [score for score in self.scores if score.id in kept]

    def _line(self, place: Place) -> bytes:
        self._file.seek(place.offset)
        line: bytes = self._file.readline()
        return line.removesuffix(b"\n")

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
