"""A fact as a question: its words, its references, its place."""

from __future__ import annotations

import hashlib

from tasks.base.records import Document, Item, Provenance
from tasks.evaluation.guess import answers_of, asked_about
from tasks.evaluation.params import Suite
from tasks.evaluation.questions import FACTS, OWN, QUESTIONS
from tasks.evaluation.questions import VERSION as WORDING
from tasks.text.facts import Fact

Pair = tuple[Document, Fact]


def question(document: Document, fact: Fact, wording: str = "") -> str:
    """A fact in the evaluation's words."""
    return (wording or QUESTIONS[fact.kind]).format_map(
        {
            **fact.words,
            "repo": repo_name(document),
            "subject": fact.subject,
            "within": f" ({fact.scope})" if fact.scope else "",
            "within_path": document.path,
            "path": document.path,
        }
    )


def repo_name(document: Document) -> str:
    """The repository's name without its owner."""
    return document.repo.rsplit("/", 1)[-1]


def item_of(
    suite: Suite,
    document: Document,
    fact: Fact,
    after: str = "",
    pair_id: str | None = None,
    other: bool = False,
    guess: str | None = None,
) -> Item:
    """The item that asks about a fact.

    Args:
        suite: it belongs to.
        document: of the fact.
        fact: what is asked about.
        after: put after the question.
        pair_id: joins it to its twin; null = none.
        other: whether the second wording is used.
        guess: the control's answer; null = it has none.
    """
    wording = (FACTS | OWN)[fact.kind].other if other else QUESTIONS[fact.kind]
    asked = question(document, fact, wording + after)
    return Item(
        id=f"{document.id}#{suite}/{fact.kind}/{digest(asked_about(fact) + asked)[:10]}",
        suite=suite,
        kind=fact.kind,
        question=asked,
        answers=answers_of(fact),
        document_id=document.id,
        span=fact.span,
        answerable=True,
        pair_id=pair_id,
        guess=guess,
        provenance=Provenance(
            document_id=document.id,
            revision=document.revision,
            span=fact.span,
            prompt_version=f"{fact.kind}/{WORDING}",
            model="template",
        ),
    )


def pair_id_of(document: Document, fact: Fact) -> str:
    """What joins a fact's item to its twin."""
    return f"{document.id}#{digest(fact.kind + asked_about(fact))[:10]}"


def digest(text: str) -> str:
    """Hash of a text, as hexadecimal digits; orders and names what has no better order or name."""
    return hashlib.sha256(text.encode()).hexdigest()
