"""What of the written study material becomes dialogues, with a verdict for everything else."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from tasks.base.errors import RecordError
from tasks.base.records import Dialogue, Message, Provenance, Split, Verdict
from tasks.synthesis.curation import Curated
from tasks.synthesis.study.checks import is_known, turn_problem
from tasks.synthesis.study.materials import Material
from tasks.synthesis.study.prompts import PROMPT_VERSION, answered
from tasks.synthesis.study.written import Turn, Written
from tasks.synthesis.study_params import Manner

METHOD: Final = "study"

LEAST_JUDGED: Final = 20
"""Of fewer written dialogues the share that is rejected says nothing."""
REASONS: Final = 3
"""Reasons that are told when too much is rejected."""


class Kept:
    """Judges what was written, and counts."""

    def __init__(self, materials: Mapping[str, Material], revisions: Mapping[str, str], model: str, most: int) -> None:
        """Takes what was shown.

        Args:
            materials: by id.
            revisions: of the documents of the training side, by id.
            model: name of who wrote.
            most: characters of an answer.

        Raises:
            RecordError: a material shows a document that is not on the training side.
        """
        self._materials, self._revisions, self._model, self._most = materials, revisions, model, most
        self.asked: Counter[Manner] = Counter()
        """Dialogues that were written, and lists without a question."""
        self.kept: Counter[Manner] = Counter()
        self.reasons: Counter[str] = Counter()
        for material in materials.values():
            for part in material.parts:
                if part.document_id not in revisions:
                    raise RecordError(f"synthesis/calls: {material.id} shows {part.document_id}, which is held out")

    def take(self, one: Written) -> Iterator[Curated | Verdict]:
        """The dialogues of a material and manner, or why they are none."""
        material = self._materials[one.id.rpartition("/")[0]]
        if not one.dialogues:
            yield self._rejected(one.id, one.manner, "no-questions", one.listing.text)
        for place, turns in enumerate(one.dialogues):
            name = f"{one.id}/{place}"
            found = self._problem(material, one.manner, turns)
            if found is None:
                self.asked[one.manner] += 1
                self.kept[one.manner] += 1
                yield Curated(self._dialogue(material, one.manner, turns))
            else:
                yield self._rejected(name, one.manner, found[0], " | ".join(filter(None, [found[1], _told(turns)])))

    def refuse_too_many(self, limit: float) -> None:
        """Ends the run if the model cannot do this.

        Args:
            limit: largest share that may be rejected.

        Raises:
            RecordError: more were; with the commonest reasons.
        """
        asked, rejected = self.asked.total(), self.reasons.total()
        if asked < LEAST_JUDGED or rejected <= limit * asked:
            return
        told = ", ".join(f"{reason} {number}" for reason, number in self.reasons.most_common(REASONS))
        raise RecordError(
            f"synthesis.study: of {asked} written dialogues {rejected} were rejected ({told}), which is more than "
            f"max_rejected {limit:g}; name a larger synthesis.study.model, or leave `study` out of synthesis.methods"
        )

    def _problem(self, material: Material, manner: Manner, turns: tuple[Turn, ...]) -> tuple[str, str] | None:
        asked = ""
        for turn in turns:
            asked = f"{asked} {turn.question}".strip()
            if found := turn_problem(material, manner, asked, turn, self._most):
                return found
        return ("known-without", "") if all(map(is_known, turns)) else None

    def _rejected(self, name: str, manner: Manner, reason: str, detail: str) -> Verdict:
        self.asked[manner] += 1
        self.reasons[reason] += 1
        return Verdict(id=name, reason=reason, detail=detail if len(detail) <= 1000 else f"{detail[:999]}…")

    def _dialogue(self, material: Material, manner: Manner, turns: tuple[Turn, ...]) -> Dialogue:
        """The record; it names the document of the first line that the first answer rests on."""
        said: list[Message] = []
        for turn in turns:
            said.append(Message(role="user", content=turn.question))
            said.append(Message(role="assistant", content=answered(turn.answer.text)[0]))
        lines = answered(turns[0].answer.text)[1] or (1,)
        found = material.place(lines[0])
        assert found is not None, f"{material.id} has no line {lines[0]}"
        part, first = found
        same = [number for one, number in filter(None, map(material.place, lines)) if one == part]
        about = Provenance(
            document_id=part.document_id,
            revision=self._revisions[part.document_id],
            span=(max(1, first), max(1, *same)),
            prompt_version=PROMPT_VERSION,
            model=self._model,
        )
        digest = hashlib.sha256("\n".join(turn.question for turn in turns).encode()).hexdigest()[:12]
        return Dialogue(
            id=f"{part.document_id}#{METHOD}/{digest}",
            messages=tuple(said),
            method=METHOD,
            kind=manner.kind,
            provenance=about,
            split=Split.TRAIN,
        )


def _told(turns: tuple[Turn, ...]) -> str:
    return " | ".join(f"Q: {turn.question} | A: {turn.answer.text}" for turn in turns)
