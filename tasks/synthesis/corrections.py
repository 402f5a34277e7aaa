"""Human corrections: kept apart from what machines made, so that they survive every new run.

A correction names a dialogue by its id, which depends on document, method and question only, and the hash of the
dialogue that the person saw. It is applied as long as the machine makes that same dialogue; when the document and so
the dialogue has changed, it is reported as stale and not applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Set

from tasks.base.records import Dialogue, Message, Record, Verdict


class Correction(Record):
    """What a person made of one dialogue."""

    id: str
    original: str
    """Hash of the dialogue's JSON line before the correction."""
    messages: tuple[Message, ...] | None
    """The corrected messages; null if the dialogue is to be dropped."""
    editor: str
    note: str


class Corrections:
    """Corrections ready to apply.

    Args:
        corrections: of every dialogue that anybody has corrected in the store.
        repos: repositories of the split; what concerns others is no business of this run.
    """

    def __init__(self, corrections: Iterable[Correction], repos: Set[str]) -> None:
        beginnings = tuple(f"{repo}/" for repo in repos)
        self._waiting = {
            correction.id: correction for correction in corrections if correction.id.startswith(beginnings)
        }

    def concerns(self, identifier: str) -> bool:
        """Whether somebody has corrected the dialogue of that id."""
        return identifier in self._waiting

    def applied(self, dialogue: Dialogue) -> Dialogue | Verdict:
        """The dialogue as corrected, with the editor in its provenance; a verdict if it was dropped."""
        correction = self._waiting.get(dialogue.id)
        if correction is None or correction.original != fingerprint(dialogue):
            return dialogue
        del self._waiting[dialogue.id]
        if correction.messages is None:
            return Verdict(
                id=dialogue.id, reason="rejected-by-editor", detail=f"{correction.editor}: {correction.note}"
            )
        model = f"{dialogue.provenance.model}+human:{correction.editor}"
        provenance = dialogue.provenance.model_copy(update={"model": model})
        return dialogue.model_copy(update={"messages": correction.messages, "provenance": provenance})

    def unused(self) -> list[Verdict]:
        """A verdict for each correction whose dialogue is gone or has changed."""
        return [
            Verdict(id=identifier, reason="correction-stale", detail=correction.note)
            for identifier, correction in sorted(self._waiting.items())
        ]


def fingerprint(dialogue: Dialogue) -> str:
    """Hash of a dialogue as a person sees it: question, answer, lines; not the commit, which changes every month."""
    seen = [dialogue.id, [message.model_dump() for message in dialogue.messages], dialogue.provenance.span]
    return hashlib.sha256(repr(seen).encode("utf-8", "surrogatepass")).hexdigest()[:16]
