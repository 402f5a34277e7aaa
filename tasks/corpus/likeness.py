"""Which documents are copies of each other: words compared by MinHash, within bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np

from tasks.base.artifacts import Artifact
from tasks.base.batching import by_size
from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.shards import RunnerParams, Shard, mapped, shards_of
from tasks.text.ngrams import signatures

Signatures = np.ndarray[Any, np.dtype[np.uint32]]
"""MinHash signatures, uint32, shape [documents, PERMUTATIONS]."""
Outline = TypeVar("Outline")
"""The facts of a document that a step needs."""

BATCH_CHARACTERS: Final = 4_000_000
"""Texts are hashed in batches of this size; of each document 512 bytes of signature stay in memory."""


def content(document: Document) -> str:
    """The text by which a document is compared: for a pull request its title, description and diffs, not who said
    what when.
    """
    if document.kind is not Kind.PULL:
        return document.text
    diffs = [f"{file['path']}\n{file.get('patch') or ''}" for file in document.meta.get("files") or ()]
    return "\n".join([document.title, document.text, *diffs])


def document_signatures(documents: Iterable[Document]) -> Signatures:
    """MinHash signatures in the documents' order, uint32, shape [documents, PERMUTATIONS]."""
    parts = [signatures(batch) for batch in by_size(map(content, documents), len, BATCH_CHARACTERS)]
    return np.concatenate(parts) if parts else signatures([])


def outlined_shard(outline: Callable[[Document], Outline], shard: Shard) -> tuple[list[Outline], Signatures]:
    """Outlines and signatures of a shard's documents."""
    documents = list(shard.read(Document))
    return [outline(document) for document in documents], document_signatures(documents)


def outlined(
    run: StepRun, documents: Artifact, outline: Callable[[Document], Outline], params: RunnerParams
) -> tuple[list[Outline], Signatures]:
    """Outlines and signatures of all documents, in order: what a step that compares documents keeps of them in memory.

    Args:
        run: the step's run.
        documents: its input.
        outline: of a module, or a `partial` of one.
        params: where it runs.
    """
    outlines: list[Outline] = []
    parts: list[Signatures] = []
    shards = shards_of(run.store, documents, size=params.shard_bytes)
    for made, part in mapped(partial(outlined_shard, outline), shards, params):
        outlines += made
        parts.append(part)
        run.progress(len(outlines), documents.counts.get("records"), "documents")
    return outlines, np.concatenate(parts) if parts else signatures([])


def groups(size: int, pairs: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    """The numbers 0 to size - 1 in groups that pairs join, members ascending, by each group's smallest member."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.asarray(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
    labels = connected_components(graph, directed=False)[1] if size else ()
    members: dict[int, list[int]] = {}
    for item, label in enumerate(labels):
        members.setdefault(int(label), []).append(item)
    return {found[0]: found for found in members.values()}
