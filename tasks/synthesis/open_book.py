"""Method `open_book`: the question comes with passages, one of which answers it (RAFT, arXiv 2403.10131).

The prompt is the one that a release serves with sources and that the evaluation's arms with retrieval are asked
(`tasks/retrieval/prompt.py`); the answer ends with the number of the passage that it stands in, so that the model
learns to cite. Apart from all other methods and off by default: where the passage is always in the prompt, a model
learns to look and not to remember (contextual shadowing, arXiv 2505.01812). It needs no model: it takes dialogues of
other methods, the passage with the lines they rest on, and passages of other documents of the same side as distractors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks.base.records import Kind, Verdict
from tasks.retrieval.passages import Passage, passages
from tasks.retrieval.prompt import with_passages
from tasks.synthesis import worded
from tasks.synthesis.drafts import Draft, pick, spread
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "open_book"
PROMPT_VERSION: Final = "open_book/2026.11.30"

DISTRACTORS: Final = 2
"""Passages beside the right one."""

PASSAGE_TOKENS: Final = 300
"""Longest passage, as the evaluation shows them by default."""
ANSWER_CHARACTERS: Final = 1_500
MAX_ROWS: Final = 4
"""Rows per document, spread over its facts."""


def applies(subject: Subject) -> bool:
    """Files and pages."""
    return subject.document.kind is not Kind.PULL


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """Facts of the other methods, asked with passages; the answer ends with the number of the one it stands in."""
    single = params.model_copy(update={"wordings": 1})
    facts = [draft for draft in worded.template(subject, single) if isinstance(draft, Draft)]
    cut = list(passages([subject.document], PASSAGE_TOKENS))
    for place in spread(len(facts), MAX_ROWS):
        draft = facts[place]
        right = next((one for one in cut if one.span[0] <= draft.span[0] and draft.span[1] <= one.span[1]), None)
        others = _distractors(subject, draft.question)
        if right is None or len(draft.answer) > ANSWER_CHARACTERS or not others:
            continue
        shown = pick([right, *others], draft.question, 1 + len(others))
        answer = f"{draft.answer} [{shown.index(right) + 1}]"
        yield Draft(with_passages(draft.question, shown), answer, draft.span, draft.evidence)


def _distractors(subject: Subject, question: str) -> list[Passage]:
    found: list[Passage] = []
    for other in subject.index.others(subject.document, subject.split, DISTRACTORS):
        found += pick(list(passages([other], PASSAGE_TOKENS)), question, 1)
    return found
