"""The shape of a fact: one checkable thing that a document says, asked in training and in evaluation alike."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from tasks.base.records import Record, Split


class Shape(StrEnum):
    """What `Fact.values` mean to whoever marks an answer."""

    ONE = "one"
    """One right answer; the first value is canonical, the rest are aliases of it."""
    ANY = "any"
    """Each value alone is a right answer."""
    ALL = "all"
    """Every value belongs into the answer, in any order."""
    ORDERED = "ordered"
    """Every value belongs into the answer, in this order."""
    PROSE = "prose"
    """Sentences; what counts is their points."""


class Fact(Record):
    """One thing that a document says and that can be asked, answered and checked."""

    id: str
    """Begins with the document's id."""
    kind: str
    """What is asked: `route`, `value`, `reverse-use`, `location`, …; counted as `kind:<name>`."""
    language: str
    """`python`, `typescript`, …; `markdown` for pages, `pull` for pull requests, `config` for the rest."""
    subject: str
    """What a person would call the thing that is asked about."""
    scope: str = ""
    """What makes the subject unambiguous where its name alone does not; empty where it does."""
    values: tuple[str, ...]
    shape: Shape
    words: dict[str, str] = Field(default_factory=dict)
    """What wordings need besides subject, scope and values."""
    document_id: str
    span: tuple[int, int]
    """First and last line (1-based, inclusive) of the document's text that the fact rests on."""
    rests_on: tuple[str, ...] = ()
    """Ids of further documents that the fact rests on; all of them lie on the fact's side of the split."""
    split: Split
