"""How much of the sources is put before a question."""

from __future__ import annotations

from pydantic import Field

from tasks.base.params import Params


class RetrievalParams(Params):
    """How the arms with retrieval look things up, and what a release serves with sources."""

    retrieved_passages: int = Field(3, ge=1, le=20)
    """Passages put before the question in the retrieval arms."""
    passage_tokens: int = Field(300, ge=32)
    """Longest passage, in tokens of the model."""
