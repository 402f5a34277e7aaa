"""Chunks and dialogues as token ids and loss mask.

Raw text: loss on every token; an end token only where the document ends, because one after a chunk from the middle
would teach the model to stop in mid-file (TRL adds it to every row). Dialogues: loss on what the assistant says, end of
turn included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.base.artifacts import Artifact
from tasks.base.batching import by_size
from tasks.base.records import Split
from tasks.base.shards import Shard
from tasks.mixture.params import HeldOut
from tasks.mixture.table.dialogue_cache import DialogueCache, Rendered, Turns
from tasks.text.token_cache import TokenCache
from tasks.text.tokenizer import stored_tokenizer

BATCH_CHARACTERS: Final = 1_000_000
"""Texts are encoded in batches of this size: enough for all cores, little enough for memory."""
GROUP_DIALOGUES: Final = 256
"""Dialogues of one document that are kept together in the cache at most."""

Raw = dict[str, Any]
"""A chunk or dialogue as JSON values."""


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
    """A shard's parts before they are placed into rows, in stored order; one entry a part, but for the tokens."""

    names: list[str]
    """Ids of the chunks or dialogues."""
    sources: list[str]
    documents: list[str]
    lengths: NDArray[np.int64]
    ids: NDArray[np.int32]
    """Tokens of all parts, one after the other."""
    mask: NDArray[np.bool_]
    """Whether a token is under the loss."""
    held_out: int
    """Records of held-out documents that were left out."""
    held_out_trained: int
    """Records of held-out documents that are trained on all the same, as the parameters say."""


def encode_shard(encoding: Encoding, shard: Shard) -> Encoded:
    """Encodes what is to be trained on. Token ids come from this machine's cache where it has them."""
    tokenizer = stored_tokenizer(shard.store.checkout(encoding.model))
    cache = shard.store.local("cache", "tokens")
    trained = {split for split in Split if is_trained(split, encoding)}
    records = list(shard.raw())
    held_out = sum(record["split"] == Split.HELD_OUT for record in records) if encoding.family != "replay" else 0
    kept = [record for record in records if record["split"] in trained]
    if encoding.family == "raw":
        with TokenCache(cache, tokenizer) as tokens:
            made = encode_chunks(kept, tokens)
        sources = [f"raw-{record['kind']}" for record in kept]
        documents = [record["document_id"] for record in kept]
    elif kept and "ids" in kept[0]:
        made = encode_samples(kept)
        sources = [f"replay-{record['method']}" for record in kept]
        documents = [record["id"] for record in kept]
    else:
        with DialogueCache(cache, tokenizer) as rendered:
            made = encode_dialogues(kept, rendered, encoding.system_prompt)
        sources = [f"{encoding.family}-{record['method']}" for record in kept]
        documents = [record["provenance"]["document_id"] for record in kept]
    is_folded_in = Split.HELD_OUT in trained  # never of a replay
    return Encoded(
        [record["id"] for record in kept],
        sources,
        documents,
        made.lengths,
        made.ids,
        made.mask,
        0 if is_folded_in else held_out,
        held_out if is_folded_in else 0,
    )


def is_trained(split: Split, encoding: Encoding) -> bool:
    """Whether something of this side of the split goes into the table."""
    if encoding.family == "replay":  # what the base wrote is held out of no document, but to measure on
        return split is Split.TRAIN
    policy = encoding.held_out
    return split is Split.TRAIN or policy is HeldOut.ALL or (encoding.family == "raw" and policy is HeldOut.RAW)


def encode_chunks(chunks: Iterable[Raw], tokens: TokenCache) -> Rendered:
    """Encodes raw text. What the model expects before every text (a beginning token) bears no loss."""
    prefix = np.asarray(tokens.tokenizer.prefix_ids, dtype=np.int32)
    end = np.asarray([tokens.tokenizer.end_of_document], dtype=np.int32)
    pieces: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    for batch in by_size(chunks, lambda chunk: len(chunk["text"]), BATCH_CHARACTERS):
        encoded = tokens.encode_batch([chunk["header"] + chunk["text"] for chunk in batch])
        for chunk, found in zip(batch, encoded, strict=True):
            tail = end[: int(chunk["last"])]
            pieces += [prefix, found.astype(np.int32), tail]
            lengths.append(len(prefix) + len(found) + len(tail))
    ids = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
    sizes = np.asarray(lengths, np.int64)
    mask = np.ones(len(ids), np.bool_)
    for place in range(len(prefix)):
        mask[np.cumsum(sizes) - sizes + place] = False
    return Rendered(ids, mask, sizes)


def encode_samples(samples: Sequence[Raw]) -> Rendered:
    """What the base model drew, as it drew it: loss on all but what it was given."""
    ids = [np.asarray(sample["ids"], dtype=np.int32) for sample in samples]
    masks = [np.arange(len(sample["ids"])) >= sample["given_tokens"] for sample in samples]
    return Rendered(np.concatenate(ids), np.concatenate(masks), np.asarray([len(one) for one in ids], np.int64))


def encode_dialogues(dialogues: Iterable[Raw], rendered: DialogueCache, system_prompt: str | None) -> Rendered:
    """Encodes dialogues by the model's own chat template."""
    system = (("system", system_prompt),) if system_prompt else ()
    found: list[Rendered] = []
    groups = _groups(dialogues, system)
    for batch in by_size(
        groups, lambda group: sum(len(text) for turns in group for _, text in turns), BATCH_CHARACTERS
    ):
        found += rendered.render(batch)
    if not found:
        return Rendered(np.zeros(0, np.int32), np.zeros(0, np.bool_), np.zeros(0, np.int64))
    ids, mask, lengths = (np.concatenate(column) for column in zip(*found, strict=True))
    return Rendered(ids, mask, lengths)


def _groups(dialogues: Iterable[Raw], system: tuple[tuple[str, str], ...]) -> Iterator[list[Turns]]:
    """Dialogues of the same document, `GROUP_DIALOGUES` at most, in order."""
    group: list[Turns] = []
    about = ""
    for dialogue in dialogues:
        document = dialogue["provenance"]["document_id"]
        if group and (document != about or len(group) == GROUP_DIALOGUES):
            yield group
            group = []
        about = document
        turns = tuple((message["role"], message["content"]) for message in dialogue["messages"])
        group.append(turns if turns[0][0] == "system" else (*system, *turns))
    if group:
        yield group
