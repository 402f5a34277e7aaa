"""Dialogues as ids and loss mask, kept on this machine: rendering one takes 0.3 ms, and a second run changes few of
them.

What is kept together is a document's dialogues: reading forty thousand rows takes longer than reading seven hundred.
The key is the SHA-256 of their messages, the file bears tokenizer and chat template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.base.kept import Kept
from tasks.base.records import IGNORED, Message
from tasks.text.chat import render_dialogues
from tasks.text.token_cache import stored_type
from tasks.text.tokenizer import TextTokenizer

VERSION: Final = 3
"""Of the stored bytes."""

Turns = Sequence[tuple[str, str]]
"""Role and content of each message of a dialogue."""


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
        super().__init__(folder, f"dialogues-{VERSION}-{tokenizer.fingerprint[:16]}-{template[:16]}")
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
            made = iter(render_dialogues(self.tokenizer, flat))
            fresh = {digest: _joined([next(made) for _ in group]) for digest, group in missing.items()}
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
