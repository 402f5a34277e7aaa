"""The `template` provider: no model, no network; every draft is checked against the lines that it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tasks.base.records import Verdict
from tasks.synthesis import near_miss
from tasks.synthesis.checks import missing_evidence
from tasks.synthesis.curation import TEMPLATE, Curated
from tasks.synthesis.drafts import to_dialogue
from tasks.synthesis.methods import Method, Subject, Templated, has_template
from tasks.synthesis.params import SynthesisParams


def by_template(subject: Subject, methods: Sequence[Method], params: SynthesisParams) -> list[Curated | Verdict]:
    """A document's dialogues by several methods; near misses come last, since their number is a share of the others."""
    results: list[Curated | Verdict] = []
    for method in sorted(methods, key=lambda method: method.METHOD == near_miss.METHOD):
        if has_template(method) and method.applies(subject):
            made = sum(isinstance(result, Curated) for result in results)
            results += from_template(replace(subject, made=made), method, params)
    return results


def from_template(subject: Subject, method: Templated, params: SynthesisParams) -> Iterator[Curated | Verdict]:
    """A document's dialogues by one method, in the method's order."""
    for draft in method.template(subject, params):
        if isinstance(draft, Verdict):
            yield draft
            continue
        dialogue = to_dialogue(subject.document, draft, method.METHOD, method.PROMPT_VERSION, TEMPLATE, subject.split)
        if missing := missing_evidence(draft.source or subject.document, draft):
            yield Verdict(id=dialogue.id, reason="not-in-source", detail=missing[:200])
            continue
        yield Curated(dialogue, rank=draft.rank)
