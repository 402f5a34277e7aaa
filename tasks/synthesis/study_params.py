"""What a person chooses about the study material that a model writes."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from tasks.base.params import Params
from tasks.model.params import BaseModelParams


class Manner(StrEnum):
    """What is asked about a thing."""

    SUMMARY = "summary"
    HOW = "how"
    WHY = "why"
    WHAT_IF = "what-if"
    HOW_TO = "how-to"
    COMPARISON = "comparison"
    CONVERSATION = "conversation"
    """Several turns that lead from one to the next."""
    MISUNDERSTANDING = "misunderstanding"
    """A wrong belief and its correction."""

    @property
    def kind(self) -> str:
        """The kind of its dialogues."""
        return f"study-{self}"


class CallParams(Params):
    """What a model is shown and asked."""

    manners: tuple[Manner, ...] = Field(tuple(Manner), min_length=1)
    """What is asked; each manner only about what it suits, a comparison about a folder, say."""
    questions: int = Field(2, ge=1, le=10)
    """Questions that the model is to list in each manner, about each thing that it is shown."""
    shown_characters: int = Field(6_000, ge=500, le=200_000)
    """Most of a document that is shown at once; a longer one is shown in parts, each with questions of its own."""


class WritingParams(Params):
    """How a model writes."""

    listing_tokens: int = Field(192, ge=16, le=4096)
    """Longest list of questions."""
    answer_tokens: int = Field(320, ge=16, le=8192)
    """Longest answer; one that has not ended by then is rejected."""
    seed: int = Field(0, ge=0)
    """Another seed draws other second answers."""


class StudyParams(CallParams, WritingParams):
    """How a model writes its own study material: the method `study`."""

    model: str | None = Field(None, min_length=1)
    """Who writes: a folder in Hugging Face's layout or OWNER/NAME on the Hub; null = the base model that is trained,
    whose own words it learns best.
    """
    revision: str | None = None
    """Commit, tag or branch of `model` on the Hub; null = the newest when it is first fetched into the store."""
    max_rejected: float = Field(0.6, gt=0, le=1)
    """Largest share of the written dialogues that the checks may reject; more stop the run."""

    @property
    def writer(self) -> BaseModelParams | None:
        """The model that writes, if it is not the one that is trained."""
        return BaseModelParams(base_model=self.model, revision=self.revision) if self.model else None
