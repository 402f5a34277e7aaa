"""Chunks and dialogues as token ids and labels.

Raw text: loss on every token; an end token only where the document ends, because one after a chunk from the middle
would teach the model to stop in mid-file (TRL adds it to every row). Dialogues: loss on what the assistant says, end of
turn included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tasks.base.records import Chunk, Dialogue
from tasks.mixture.spill import IGNORED
from tasks.text.chat import render_dialogue
from tasks.text.tokenizer import TextTokenizer

BATCH_CHARACTERS: Final = 4_000_000
"""Raw text is encoded in batches of this size: enough for all cores, little enough for memory."""


@dataclass(frozen=True)
class Encoded:
    """A part before it is placed into rows."""

    id: str
    source: str
    document_id: str
    ids: list[int]
    labels: list[int]


def encode_chunks(chunks: Iterable[Chunk], tokenizer: TextTokenizer) -> Iterator[Encoded]:
    """Encodes raw text, in order."""
    prefix = list(tokenizer.prefix_ids)
    for batch in _batches(chunks):
        for chunk, text_ids in zip(
            batch, tokenizer.encode_batch([chunk.header + chunk.text for chunk in batch]), strict=True
        ):
            trained = [*text_ids, tokenizer.end_of_document] if chunk.last else text_ids
            labels = [IGNORED] * len(prefix) + trained
            yield Encoded(chunk.id, f"raw-{chunk.kind}", chunk.document_id, prefix + trained, labels)


def encode_dialogues(dialogues: Iterable[Dialogue], tokenizer: TextTokenizer, family: str) -> Iterator[Encoded]:
    """Encodes dialogues by the model's own chat template, in order."""
    for dialogue in dialogues:
        ids, labels = render_dialogue(tokenizer, dialogue.messages)
        yield Encoded(dialogue.id, f"{family}-{dialogue.method}", dialogue.provenance.document_id, ids, labels)


def _batches(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    batch: list[Chunk] = []
    size = 0
    for chunk in chunks:
        batch.append(chunk)
        size += len(chunk.text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
