"""The `template` provider: no model, no network; every draft is checked against the lines that it names."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.base.records import Verdict
from tasks.synthesis.checks import missing_evidence
from tasks.synthesis.curation import Curated
from tasks.synthesis.drafts import to_dialogue
from tasks.synthesis.methods import Method, Subject
from tasks.synthesis.params import SynthesisParams

MODEL = "template"


def from_template(subject: Subject, method: Method, params: SynthesisParams) -> Iterator[Curated | Verdict]:
    """A document's dialogues by one method, in the method's order."""
    for draft in method.template(subject, params):
        if isinstance(draft, Verdict):
            yield draft
            continue
        dialogue = to_dialogue(subject.document, draft, method.METHOD, method.PROMPT_VERSION, MODEL, subject.split)
        if missing := missing_evidence(draft.source or subject.document, draft):
            yield Verdict(id=dialogue.id, reason="not-in-source", detail=missing[:200])
            continue
        yield Curated(dialogue)
