"""Method `facts`: the facts of a document, each under several wordings, by the banks in `wordings/`.

Which wordings a fact gets is decided by a hash of its id, so that over a corpus every wording is used and a fact keeps
its wordings when its neighbours change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks.base.records import Document, Verdict
from tasks.synthesis import pages
from tasks.synthesis.drafts import LONG_ANSWER_CHARACTERS, Draft, pick, place_of, repo_name
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.wordings import WORDINGS
from tasks.synthesis.wordings.frames import bare, framed
from tasks.synthesis.wordings.grammar import asking, completed, said, slots_of, usable
from tasks.text.facts import Fact
from tasks.text.paths import is_test

METHOD: Final = "facts"
LOOKUP_WORDINGS: Final = 2
"""With quotas, lookups and what is asked about tests have half of the wordings, but at least so many."""

PROMPT_VERSION: Final = "facts/2026.11.30.5"


def applies(subject: Subject) -> bool:
    """Whatever has facts."""
    return bool(subject.facts)


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """Every fact under up to `params.wordings` wordings; lookups and tests under fewer, long answers under few."""
    for fact in subject.facts:
        yield from worded(subject.document, fact, params)


def worded(document: Document, fact: Fact, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """The questions and answers of one fact; a verdict where its kind has no wording or its answers are too long."""
    bank = WORDINGS.get(fact.kind)
    words = {
        "repo": repo_name(document),
        "path": document.path,
        "page": pages.label(document),
        "title": document.title.strip(),
        "number": document.path,
        **slots_of(fact),
    }
    questions = asking(bank, words) if bank else []
    answers = [completed(said(one, words), fact) for one in usable(bank.answers, words)] if bank else []
    if not questions or not answers:
        yield Verdict(id=fact.id, reason="no-wording", detail=fact.kind)
        return
    fitting = [one for one in answers if len(one) <= params.max_answer_characters]
    if not fitting:
        yield Verdict(id=fact.id, reason="answer-too-long", detail=f"{METHOD}: {min(map(len, answers))} characters")
        return
    plain = bank is not None and (not bank.explains or is_test(document.path))
    number = params.wordings
    if plain and params.quotas is not None:
        number = max(min(LOOKUP_WORDINGS, number), number // 2)
    if min(map(len, fitting)) > LONG_ANSWER_CHARACTERS:
        number = max(1, params.wordings // 8)
    order = pick(fitting, fact.id, len(fitting))
    short = bare(bank.answers, words) if bank and not completed("", fact).strip() else ""
    asked = framed(pick(questions, fact.id, len(questions)), words, number, place_of(fact.id))
    for place, (question, ending) in enumerate(asked):
        if ending and short:
            yield Draft(question + ending, short, fact.span, (), kind=fact.kind, rank=place)
        else:
            yield Draft(question, order[place % len(order)], fact.span, (), kind=fact.kind, rank=place)
