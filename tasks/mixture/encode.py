"""Chunks and dialogues as token ids and labels.

Raw text: loss on every token; an end token only where the document ends, because one after a chunk from the middle
would teach the model to stop in mid-file (TRL adds it to every row). Dialogues: loss on what the assistant says, end of
turn included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.base.records import Chunk, Dialogue, Message, Split
from tasks.base.shards import Shard
from tasks.base.store import Artifact
from tasks.mixture.dialogue_cache import DialogueCache
from tasks.mixture.params import HeldOut
from tasks.mixture.spill import IGNORED
from tasks.text.token_cache import TokenCache
from tasks.text.tokenizer import TextTokenizer

BATCH_CHARACTERS: Final = 1_000_000
"""Texts are encoded in batches of this size: enough for all cores, little enough for memory."""

Ids = NDArray[np.int32]
R = TypeVar("R")


@dataclass(frozen=True)
class Encoding:
    """How the records of a shard are encoded."""

    model: Artifact
    """Folder with the tokenizer and chat template."""
    family: Literal["raw", "dialogue", "replay"]
    held_out: HeldOut
    system_prompt: str | None
    """Put before dialogues that have none of their own."""


@dataclass(frozen=True)
class Encoded:
    """A part before it is placed into rows."""

    id: str
    source: str
    document_id: str
    ids: Ids
    labels: Ids
    """The id where the token is under the loss, else `IGNORED`."""


@dataclass(frozen=True)
class EncodedShard:
    """A shard's parts in stored order, and how many of its records are held out."""

    parts: list[Encoded]
    held_out: int
    """Left out."""
    held_out_trained: int
    """Trained on all the same, as the parameters say."""


def encode_shard(encoding: Encoding, shard: Shard) -> EncodedShard:
    """Encodes what is to be trained on. Token ids come from this machine's cache where it has them."""
    tokenizer = _tokenizer(shard.store.checkout(encoding.model))
    cache = shard.store.local("cache", "tokens")
    chunks = list(shard.read(Chunk)) if encoding.family == "raw" else []
    dialogues = list(shard.read(Dialogue)) if encoding.family != "raw" else []
    held_out = sum(
        split is Split.HELD_OUT for split in [one.split for one in chunks] + [one.split for one in dialogues]
    )
    trained = {split for split in Split if is_trained(split, encoding)}
    with TokenCache(cache, tokenizer) as tokens, DialogueCache(cache, tokenizer) as rendered:
        parts = [
            *encode_chunks((chunk for chunk in chunks if chunk.split in trained), tokens),
            *encode_dialogues((one for one in dialogues if one.split in trained), rendered, encoding),
        ]
    is_folded_in = Split.HELD_OUT in trained
    return EncodedShard(parts, 0 if is_folded_in else held_out, held_out if is_folded_in else 0)


def is_trained(split: Split, encoding: Encoding) -> bool:
    """Whether something of this side of the split goes into the table."""
    policy = encoding.held_out
    return split is Split.TRAIN or policy is HeldOut.ALL or (encoding.family == "raw" and policy is HeldOut.RAW)


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


def encode_dialogues(dialogues: Iterable[Dialogue], rendered: DialogueCache, encoding: Encoding) -> Iterator[Encoded]:
    """Encodes dialogues by the model's own chat template, in order."""
    prompt = encoding.system_prompt
    system = (Message(role="system", content=prompt),) if prompt else ()
    for batch in _batches(dialogues, lambda dialogue: sum(len(message.content) for message in dialogue.messages)):
        messages = [one.messages if one.messages[0].role == "system" else (*system, *one.messages) for one in batch]
        for one, (ids, labels) in zip(batch, rendered.render_batch(messages), strict=True):
            yield Encoded(one.id, f"{encoding.family}-{one.method}", one.provenance.document_id, ids, labels)


@lru_cache(maxsize=2)
def _tokenizer(folder: Path) -> TextTokenizer:
    """Loading takes half a second, as much as a shard does."""
    return TextTokenizer.load(folder)


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
