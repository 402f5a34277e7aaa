"""What a method is: how the template provider makes its drafts, and how a model is asked for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from pydantic import BaseModel

from tasks.base.records import Document, Split, Verdict
from tasks.llm.calls import Call
from tasks.synthesis.drafts import Draft
from tasks.synthesis.index import Index
from tasks.synthesis.params import SynthesisParams
from tasks.text.facts import Fact


@dataclass(frozen=True)
class Subject:
    """A document to make dialogues about, with what is known around it."""

    document: Document
    split: Split
    is_page: bool
    index: Index
    facts: tuple[Fact, ...] = ()
    """What the step `synthesis/facts` found in it."""
    made: int = 0
    """Dialogues that the template provider has made of it so far, by other methods."""


class Method(Protocol):
    """A module of this room, one for each kind of dialogue."""

    @property
    def METHOD(self) -> str:
        """Name in parameters and records."""
        ...

    @property
    def PROMPT_VERSION(self) -> str:
        """Changed by hand with the wording of prompts or templates; every dialogue bears it."""
        ...

    def applies(self, subject: Subject) -> bool:
        """Whether the method has anything to ask about this kind of document."""
        ...


class Templated(Method, Protocol):
    """A method that needs no model."""

    def template(self, subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
        """Drafts in the document's own words; deterministic, in a fixed order."""
        ...


class Asking(Method, Protocol):
    """A method that can ask a model; one that cannot uses its template with every provider, and vice versa."""

    def calls(self, subject: Subject, params: SynthesisParams) -> Iterator[Call]:
        """What to ask about the document."""
        ...

    def drafts(self, subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
        """The drafts in an answer; the spans are found from the quoted evidence, (0, 0) where it is not in the
        document.
        """
        ...


def asks(method: Method) -> TypeGuard[Asking]:
    """Whether the method can ask a model."""
    return hasattr(method, "calls")


def has_template(method: Method) -> TypeGuard[Templated]:
    """Whether the method can do without a model."""
    return hasattr(method, "template")
