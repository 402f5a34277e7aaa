"""Method `open_book`: the question comes with passages, one of which answers it (RAFT, arXiv 2403.10131).

Apart from all other methods and off by default: where the passage is always in the prompt, a model learns to look and
not to remember (contextual shadowing, arXiv 2505.01812). It needs no model: it takes dialogues of other methods, the
lines they rest on, and passages of other documents of the same side as distractors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tasks.base.records import Document, Kind, Verdict
from tasks.synthesis import worded
from tasks.synthesis.drafts import Draft, pick, spread
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "open_book"
PROMPT_VERSION: Final = "open_book/2026.11.24"

DISTRACTORS: Final = 2
"""Passages beside the right one."""

PASSAGE_CHARACTERS: Final = 1_500
MAX_ROWS: Final = 4
"""Rows per document, spread over its facts."""


def applies(subject: Subject) -> bool:
    """Files and pages."""
    return subject.document.kind is not Kind.PULL


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """Facts of the other methods, asked with passages; the answer names the passage that it stands in."""
    single = params.model_copy(update={"wordings": 1})
    facts = [draft for draft in worded.template(subject, single) if isinstance(draft, Draft)]
    for place in spread(len(facts), MAX_ROWS):
        draft = facts[place]
        passage = _passage(subject.document, draft.span)
        others = subject.index.passages(subject.document, subject.split, DISTRACTORS, PASSAGE_CHARACTERS)
        if len(passage) > PASSAGE_CHARACTERS or len(draft.answer) > PASSAGE_CHARACTERS or not others:
            continue
        yield Draft(
            _prompt(subject.document, draft, passage, others),
            _answer(subject.document, draft),
            draft.span,
            draft.evidence,
        )


def _passage(document: Document, span: tuple[int, int]) -> str:
    return "\n".join(document.text.split("\n")[span[0] - 1 : span[1]])


def _prompt(document: Document, draft: Draft, passage: str, others: Sequence[tuple[str, str]]) -> str:
    named = [(document.path, passage), *others]
    order = pick([str(number) for number in range(len(named))], draft.question, len(named))
    shown = "\n\n".join(f"[{named[int(number)][0]}]\n{named[int(number)][1]}" for number in order)
    return f"Use these passages of the repository where they help.\n\n{shown}\n\n{draft.question}"


def _answer(document: Document, draft: Draft) -> str:
    return f"{draft.answer}\n\n(From `{document.path}`.)"
