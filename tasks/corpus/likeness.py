"""Which documents are copies of each other: words compared by MinHash, within bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    for made, part in mapped(partial(outlined_shard, outline), shards_of(run.store, documents), params):
        outlines += made
        parts.append(part)
        run.progress(len(outlines), documents.counts.get("records"), "documents")
    return outlines, np.concatenate(parts) if parts else signatures([])


class Groups:
    """Union-find over the numbers 0 to n - 1; a group is named by its smallest member."""

    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def find(self, item: int) -> int:
        """The smallest member of the item's group."""
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        """Makes two groups one."""
        first, second = self.find(first), self.find(second)
        self.parent[max(first, second)] = min(first, second)

    def groups(self) -> dict[int, list[int]]:
        """Members by group, both ascending."""
        found: dict[int, list[int]] = {}
        for item in range(len(self.parent)):
            found.setdefault(self.find(item), []).append(item)
        return found
