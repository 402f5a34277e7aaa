"""A question with passages before it: what the evaluation's arms with retrieval are asked is what a release serves."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.retrieval.passages import Passage


def with_passages(question: str, found: Sequence[Passage]) -> str:
    """The question after the passages, numbered from 1; alone where nothing was found."""
    if not found:
        return question
    context = "\n\n".join(f"[{number}] {passage.text}" for number, passage in enumerate(found, 1))
    return f"Use the following excerpts to answer.\n\n{context}\n\nQuestion: {question}"
