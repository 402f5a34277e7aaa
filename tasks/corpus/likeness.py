"""Which documents are copies of each other: words compared by MinHash, within bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np

from tasks.base.records import Document, Kind
from tasks.text.ngrams import signatures

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


def document_signatures(documents: Iterable[Document]) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """MinHash signatures in the documents' order, uint32, shape [documents, PERMUTATIONS]."""
    parts = [signatures(batch) for batch in _batches(map(content, documents))]
    return np.concatenate(parts) if parts else signatures([])


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


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
