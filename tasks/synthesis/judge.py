"""The judge: a model that sees source, questions and answers, and returns ids and scores on an enum, nothing else.

It never returns text: a judge that retypes what it approves destroys code (synthetic-data-kit does), and one that does
not see the source judges style (the same). The source comes first, as in the prompts of the methods, so that judging
reads the same prompt cache.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from tasks.base.records import Document
from tasks.llm.calls import Call
from tasks.synthesis import prompts
from tasks.synthesis.drafts import Draft
from tasks.synthesis.params import SynthesisParams

PROMPT_VERSION: Final = "judge/2026.11.24"

TASK: Final = """\
Below are questions with answers as JSON. Judge each by the documents alone, strictly:
grounded: do the documents support every statement of the answer?
answers: does the answer answer the question, completely and without evasion?
self_contained: does the question say what it is about, for someone who does not see the documents?
Return one entry for each id and nothing else.
{pairs}"""

REFUSAL_TASK: Final = """\
Below are questions as JSON that are supposed NOT to be answered by the documents. Judge each by the documents alone:
answered: can the question be answered from the documents, even partly?
self_contained: does the question say what it is about, for someone who does not see the documents?
Return one entry for each id and nothing else.
{pairs}"""


SHOWN_CHARACTERS: Final = 400


class Grade(StrEnum):
    """How far something is so."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


class Score(prompts.Reply):
    """Scores of one pair."""

    id: int
    grounded: Grade
    answers: Grade
    self_contained: Grade


class Scores(prompts.Reply):
    """The reply."""

    scores: list[Score]


class RefusalScore(prompts.Reply):
    """Scores of one unanswerable question."""

    id: int
    answered: Grade
    self_contained: Grade


class RefusalScores(prompts.Reply):
    """The reply about unanswerable questions."""

    scores: list[RefusalScore]


def call(document: Document, written: Call, drafts: Sequence[Draft], params: SynthesisParams) -> Call:
    """The call that judges drafts which one call has written, with the same documents before it."""
    refusals = not drafts[0].answerable
    pairs = [
        {"id": number, "question": draft.question} | ({} if refusals else {"answer": _shown(draft)})
        for number, draft in enumerate(drafts, 1)
    ]
    listing = json.dumps(pairs, ensure_ascii=False)
    name, schema = ("judge_refusals", RefusalScores) if refusals else ("judge", Scores)
    task = (REFUSAL_TASK if refusals else TASK).format(pairs=listing)
    part = written.id.removeprefix(f"{document.id}#")
    return prompts.call(document, name, f"{part}/judge", schema, written.blocks, task, params)


def _shown(draft: Draft) -> str:
    """The answer; of one that is its own evidence, a whole page, only the beginning, since the judge has the page."""
    if draft.answer in draft.evidence and len(draft.answer) > 2 * SHOWN_CHARACTERS:
        return f"{draft.answer[:SHOWN_CHARACTERS]} … (and so on, the rest of the document)"
    return draft.answer


def scored(drafts: Sequence[Draft], reply: Scores | RefusalScores) -> list[Score | RefusalScore | None]:
    """The score of each draft, None where the judge gave none."""
    by_id = {score.id: score for score in reply.scores}
    return [by_id.get(number) for number in range(1, len(drafts) + 1)]


def rejection(score: Score | RefusalScore | None) -> str:
    """The reason why the judge rejects a draft, empty if it does not; one without a score is rejected."""
    if score is None:
        return "judge-silent"
    if isinstance(score, RefusalScore):
        return "judge-answerable" if score.answered is not Grade.NO else _contained(score.self_contained)
    if score.grounded is not Grade.YES:
        return "judge-ungrounded"
    if score.answers is not Grade.YES:
        return "judge-evasive"
    return _contained(score.self_contained)


def _contained(grade: Grade) -> str:
    return "" if grade is Grade.YES else "judge-no-subject"
