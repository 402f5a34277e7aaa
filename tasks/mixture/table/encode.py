"""Chunks and dialogues as token ids and loss mask.

Raw text: loss on every token; an end token only where the document ends, because one after a chunk from the middle
would teach the model to stop in mid-file (TRL adds it to every row). Dialogues: loss on what the assistant says, end of
turn included.

Encoded dialogues are kept on this machine: rendering one takes 0.3 ms, and a second run changes few of them. What is
kept together is a document's dialogues, since reading forty thousand rows takes longer than reading seven hundred. The
key is the SHA-256 of their messages; the file bears tokenizer and chat template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.base.artifacts import Artifact
from tasks.base.batching import by_size
from tasks.base.kept import Kept
from tasks.base.records import IGNORED, Message, Split
from tasks.base.shards import Shard
from tasks.mixture.params import HeldOut
from tasks.text.chat import render_dialogues
from tasks.text.token_cache import TokenCache, stored_type
from tasks.text.tokenizer import TextTokenizer, stored_tokenizer

BATCH_CHARACTERS: Final = 1_000_000
"""Texts are encoded in batches of this size: enough for all cores, little enough for memory."""
GROUP_DIALOGUES: Final = 256
"""Dialogues of one document that are kept together in the cache at most."""
CACHE_VERSION: Final = 3
"""Of the stored bytes."""
Raw = dict[str, Any]
"""A chunk or dialogue as JSON values."""
Turns = Sequence[tuple[str, str]]
"""Role and content of each message of a dialogue."""


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
    """A shard's parts before they are placed into rows, in stored order, with one entry a part."""

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
            encoded = encode_chunks(kept, tokens)
        sources = [f"raw-{record['kind']}" for record in kept]
        documents = [record["document_id"] for record in kept]
    elif kept and "ids" in kept[0]:
        encoded = encode_samples(kept)
        sources = [f"replay-{record['method']}" for record in kept]
        documents = [record["id"] for record in kept]
    else:
        with DialogueCache(cache, tokenizer) as rendered:
            encoded = encode_dialogues(kept, rendered, encoding.system_prompt)
        sources = [f"{encoding.family}-{record['method']}" for record in kept]
        documents = [record["provenance"]["document_id"] for record in kept]
    is_folded_in = Split.HELD_OUT in trained  # never of a replay
    return Encoded(
        [record["id"] for record in kept],
        sources,
        documents,
        encoded.lengths,
        encoded.ids,
        encoded.mask,
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
    for offset in range(len(prefix)):
        mask[np.cumsum(sizes) - sizes + offset] = False
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


class Rendered(NamedTuple):
    """Dialogues one after the other."""

    ids: NDArray[np.int32]
    mask: NDArray[np.bool_]
    """Whether a token is under the loss."""
    lengths: NDArray[np.int64]
    """Tokens of each."""


class DialogueCache(Kept):
    """A chat template that remembers. Use as a context manager."""

    def __init__(self, folder: Path, tokenizer: TextTokenizer) -> None:
        template = hashlib.sha256((tokenizer.chat_template or "").encode()).hexdigest()
        super().__init__(folder, f"dialogues-{CACHE_VERSION}-{tokenizer.fingerprint[:16]}-{template[:16]}")
        self.tokenizer = tokenizer
        self._type = stored_type(tokenizer)

    def render(self, groups: Sequence[Sequence[Turns]]) -> list[Rendered]:
        """The dialogues of each group, in order; ids and labels equal those of `render_dialogues`."""
        digests = [group_digest(group) for group in groups]
        known = {digest: self._unpacked(value) for digest, value in self.get(digests).items()}
        missing = {digest: group for digest, group in zip(digests, groups, strict=True) if digest not in known}
        if missing:
            flat = [
                [Message.model_construct(role=role, content=content) for role, content in turns]  # type: ignore[arg-type]
                for group in missing.values()
                for turns in group
            ]
            dialogues = iter(render_dialogues(self.tokenizer, flat))
            fresh = {digest: _joined([next(dialogues) for _ in group]) for digest, group in missing.items()}
            self.put((digest, self._packed(rendered)) for digest, rendered in fresh.items())
            known |= fresh
        return [known[digest] for digest in digests]

    def _packed(self, rendered: Rendered) -> bytes:
        lengths = rendered.lengths.astype(np.uint32)
        head = np.asarray([len(lengths)], np.uint32)
        ids, mask = rendered.ids.astype(self._type), np.packbits(rendered.mask)
        return b"".join(piece.tobytes() for piece in (head, lengths, ids, mask))

    def _unpacked(self, value: bytes) -> Rendered:
        count = int(np.frombuffer(value, np.uint32, 1)[0])
        lengths = np.frombuffer(value, np.uint32, count, 4).astype(np.int64)
        tokens, start = int(lengths.sum()), 4 + 4 * count
        ids = np.frombuffer(value, self._type, tokens, start).astype(np.int32)
        packed = np.frombuffer(value, np.uint8, offset=start + ids.size * np.dtype(self._type).itemsize)
        return Rendered(ids, np.unpackbits(packed, count=tokens).astype(np.bool_), lengths)


def group_digest(group: Sequence[Turns]) -> bytes:
    """Lengths stand before what they measure, so no two groups give the same bytes."""
    document = "".join(
        f"{len(turns)}\0" + "".join(f"{role}\0{len(content)}\0{content}" for role, content in turns) for turns in group
    )
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).digest()


def _joined(dialogues: Sequence[tuple[list[int], list[int]]]) -> Rendered:
    ids = np.concatenate([np.asarray(ids, np.int32) for ids, _ in dialogues])
    labels = np.concatenate([np.asarray(labels, np.int32) for _, labels in dialogues])
    return Rendered(ids, labels != IGNORED, np.asarray([len(ids) for ids, _ in dialogues], np.int64))
