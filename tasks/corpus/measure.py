"""Counts a corpus in tokens of any encoding, where the model's own tokenizer is not at hand yet: for a plan."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Split
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.corpus.chunk import Sided, chunk_documents
from tasks.corpus.cut import Count
from tasks.corpus.params import RenderParams


class CorpusFigures(BaseModel):
    """Size of the corpus after filters, redaction and deduplication."""

    model_config = ConfigDict(frozen=True)

    documents: dict[str, int]
    """By side of the split."""
    tokens: dict[str, int]
    """By kind and side: `tokens:<kind>:<side>`."""
    tokenizer: str
    """Whose tokens: the base model's, or `o200k_base` where the model is not at hand yet; other tokenizers count up
    to a third more in code.
    """


def measure(store: Store, documents: Artifact, count: Count, params: RenderParams, max_tokens: int) -> dict[str, int]:
    """`tokens:<kind>:<side>` as `corpus/chunk` would count them, in the tokens that `count` counts."""
    found: Counter[str] = Counter()
    for split in Split:
        sided = (
            Sided(document, split) for document in read_records(store, documents, Document, f"{split.value}.jsonl")
        )
        for chunk in chunk_documents(sided, count, max_tokens - 2, params):
            found[f"tokens:{chunk.kind}:{chunk.split}"] += chunk.tokens
    return dict(sorted(found.items()))
