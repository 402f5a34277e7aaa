"""Method `atomic_facts`: single facts, each under several wordings and once in reverse.

Facts that name their subject, in 3 to 5 paraphrases (Knowledge-Instruct, arXiv 2504.05571, which saw a plateau at 3
to 5), with the
question turned around, because a model that learned "A is B" does not know "B is A" (arXiv 2309.12288).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Kind
from tasks.llm.calls import Call
from tasks.synthesis import prompts
from tasks.synthesis.drafts import Draft
from tasks.synthesis.evidence import quoted, windows
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "atomic_facts"
PROMPT_VERSION: Final = "atomic_facts/2026.11.24.1"

TASK: Final = """\
Extract up to {number} atomic facts from `{path}` of the repository `{repo}`, spread over the whole text shown; leave \
out trivia. For each fact write: a statement of one sentence that names its subject; {wordings} questions that all ask \
for that fact in different words; the answer, one to six words if possible; a reversed question whose answer is the \
fact's subject, with that answer; and as evidence the line of the document that proves it, copied word for word."""


class AtomicFact(prompts.Reply):
    """One fact with its questions."""

    statement: str
    questions: list[str]
    answer: str
    reversed_question: str
    reversed_answer: str
    evidence: str


class Facts(prompts.Reply):
    """The reply."""

    facts: list[AtomicFact]


def applies(subject: Subject) -> bool:
    """Files and pages; pull requests have a method of their own."""
    return subject.document.kind is not Kind.PULL


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call for each window of the document."""
    document = subject.document
    for first, last, text in windows(document.text, params.window_characters):
        number = max(1, prompts.wanted(text, params) // 2)
        task = TASK.format(number=number, path=document.path, repo=document.repo, wordings=min(5, params.wordings))
        shown = [prompts.block(document, text, first, last)]
        yield prompts.call(document, METHOD, f"{METHOD}/{first}", Facts, shown, task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """Each wording with the answer, then the reversed question; the statement stands behind the first answer."""
    assert isinstance(answer, Facts)
    for fact in answer.facts:
        for place, question in enumerate(fact.questions[:5]):
            text = fact.answer if place or fact.statement == fact.answer else f"{fact.answer}\n\n{fact.statement}"
            yield quoted(subject.document, question, text, fact.evidence)
        yield quoted(subject.document, fact.reversed_question, fact.reversed_answer, fact.evidence)
