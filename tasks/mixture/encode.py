"""Chunks and dialogues as token ids and labels.

Raw text: loss on every token; an end token only where the document ends, because one after a chunk from the middle
would teach the model to stop in mid-file (TRL adds it to every row). Dialogues: loss on what the assistant says, end of
turn included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import Chunk, Dialogue, Message
from tasks.mixture.dialogue_cache import DialogueCache
from tasks.mixture.spill import IGNORED
from tasks.text.token_cache import TokenCache

BATCH_CHARACTERS: Final = 1_000_000
"""Texts are encoded in batches of this size: enough for all cores, little enough for memory."""

Ids = NDArray[np.int32]
R = TypeVar("R")


@dataclass(frozen=True)
class Encoded:
    """A part before it is placed into rows."""

    id: str
    source: str
    document_id: str
    ids: Ids
    labels: Ids
    """The id where the token is under the loss, else `IGNORED`."""


def encode_chunks(chunks: Iterable[Chunk], tokens: TokenCache) -> Iterator[Encoded]:
    """Encodes raw text, in order. What the model expects before every text (a beginning token) bears no loss."""
    prefix = np.asarray(tokens.tokenizer.prefix_ids, dtype=np.int32)
    end = np.asarray([tokens.tokenizer.end_of_document], dtype=np.int32)
    for batch in _batches(chunks, lambda chunk: len(chunk.text)):
        encoded = tokens.encode_batch([chunk.header + chunk.text for chunk in batch])
        for chunk, found in zip(batch, encoded, strict=True):
            text = found.astype(np.int32)
            ids = np.concatenate([prefix, text, end] if chunk.last else [prefix, text])
            labels = ids.copy()
            labels[: len(prefix)] = IGNORED
            yield Encoded(chunk.id, f"raw-{chunk.kind}", chunk.document_id, ids, labels)


def encode_dialogues(
    dialogues: Iterable[Dialogue], rendered: DialogueCache, family: str, system_prompt: str | None
) -> Iterator[Encoded]:
    """Encodes dialogues by the model's own chat template, in order; `system_prompt` goes before those without one."""
    system = (Message(role="system", content=system_prompt),) if system_prompt else ()
    for batch in _batches(dialogues, lambda dialogue: sum(len(message.content) for message in dialogue.messages)):
        messages = [one.messages if one.messages[0].role == "system" else (*system, *one.messages) for one in batch]
        for one, (ids, labels) in zip(batch, rendered.render_batch(messages), strict=True):
            yield Encoded(one.id, f"{family}-{one.method}", one.provenance.document_id, ids, labels)


def _batches(records: Iterable[R], characters: Callable[[R], int]) -> Iterator[list[R]]:
    batch: list[R] = []
    size = 0
    for record in records:
        batch.append(record)
        size += characters(record)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
