"""Step `synthesis/dialogues`: documents of the split in, curated dialogues of both splits out, sorted by id."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from types import ModuleType

from tasks.base.records import Dialogue, Document, Kind, Split, Verdict
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact
from tasks.synthesis import file_question, page_instruction, page_qa
from tasks.synthesis.drafts import to_dialogue
from tasks.synthesis.pages import page_ids
from tasks.synthesis.params import SynthesisParams

VERSION = "2026.11.24"

FILES = {Split.TRAIN: "train.jsonl", Split.HELD_OUT: "held_out.jsonl"}

METHODS: dict[str, ModuleType] = {module.METHOD: module for module in (page_qa, page_instruction, file_question)}


def made_by_template(
    document: Document, is_page: bool, split: Split, params: SynthesisParams
) -> Iterator[Dialogue | Verdict]:
    """Dialogues about one document in its own words; a second question of the same words is a verdict."""
    asked: set[str] = set()
    for name in params.methods:
        module = METHODS[name]
        if not (document.kind is Kind.FILE if name == file_question.METHOD else is_page):
            continue
        for draft in module.template(document, params):
            if isinstance(draft, Verdict):
                yield draft
                continue
            dialogue = to_dialogue(document, draft, name, module.PROMPT_VERSION, "template", split)
            if draft.question in asked:
                yield Verdict(id=dialogue.id, reason="duplicate-question", detail=draft.question)
                continue
            asked.add(draft.question)
            yield dialogue


@step("synthesis/dialogues", VERSION)
def dialogues(run: StepRun, documents: Artifact, params: SynthesisParams) -> None:
    """Makes the dialogues of both sides of the split; a dialogue has its document's side."""
    pages = page_ids(document for name in FILES.values() for document in run.read(documents, Document, name))
    made: list[Dialogue] = []
    for split, name in FILES.items():
        for document in run.read(documents, Document, name):
            for result in made_by_template(document, document.id in pages, split, params):
                if isinstance(result, Verdict):
                    run.verdict(result.id, result.reason, result.detail)
                    continue
                run.count(f"method:{result.method}")
                made.append(result)
    run.write(sorted(made, key=attrgetter("id")))
