"""The trained model's tokenizer, for raw text in which nothing is a control token.

Repositories hold text that spells control tokens (`<|im_end|>` in a chat template, `<|endoftext|>` in a test). A
tokenizer as loaded from the Hub turns such text into the control token itself, so a file could end a turn or inject
one. Here the control tokens of `tokenizer.json` are renamed to names that no text has, which makes their spelling
ordinary text for every tokenizer model and pre-tokenizer alike; only `tasks/text/chat.py` writes the new names.

Imports `tokenizers`, not transformers, so that counting tokens costs no torch import.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from tasks.base.errors import InputError

END_OF_DOCUMENT: Final = ("<|endoftext|>", "<|end_of_text|>")
"""Names that models use for the end of a pre-training document, first match wins; a model without them ends documents
with its eos token.
"""


class TextTokenizer:
    """Encodes raw text to token ids and back. Deterministic; safe to share between threads; made by `load`."""

    def __init__(self, document: dict[str, Any], config: dict[str, Any], chat_template: str | None) -> None:
        from tokenizers import Tokenizer

        self.config = config
        self.chat_template = chat_template
        """Jinja source, or None for a model without one."""
        self.fingerprint = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        """Equal for equal tokenizers; names caches of tokenised text."""
        self.control: dict[str, int] = _control_tokens(document, chat_template)
        """Control tokens by name."""
        nonce = secrets.token_hex(8)  # a fixed name could be spelt by a document; ids do not depend on it
        self._names = {token: f"\ufdd0{nonce}c{number}\ufdd1" for token, number in self.control.items()}
        self._shields = {token: f"\ufdd0{nonce}t{number}\ufdd1" for token, number in self.control.items()}
        self._shielded = {shield: token for token, shield in self._shields.items()}
        self._shield_pattern = re.compile(f"\ufdd0{nonce}t[0-9]+\ufdd1")
        self._beginning = re.compile("|".join(sorted({re.escape(token[0]) for token in self.control})) or r"(?!)")
        self._lengths = sorted({len(token) for token in self.control}, reverse=True)
        self._plain = json.dumps(document)
        self._tokenizer = Tokenizer.from_str(json.dumps(_renamed(document, self._names)))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @classmethod
    def load(cls, folder: Path) -> TextTokenizer:
        """Reads `tokenizer.json`, `tokenizer_config.json` and the chat template of a model folder.

        Raises:
            InputError: there is no readable `tokenizer.json`.
        """
        try:
            document = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"base_model: {folder.name} has no readable tokenizer.json (a fast tokenizer)") from error
        source = folder / "tokenizer_config.json"
        config = json.loads(source.read_text("utf-8")) if source.exists() else {}
        template = folder / "chat_template.jinja"
        chat_template = template.read_text("utf-8") if template.exists() else _configured_template(config)
        return cls(document, config, chat_template)

    def encode(self, text: str) -> list[int]:
        """Token ids of a raw text, without special tokens; control tokens that it spells are text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids per text, in order, on all cores (`encode_batch_fast`)."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens per text, in order."""
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_controlled(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids and character offsets of a text in which control tokens bear the names that `unshield` gives
        them.
        """
        return self.encode_controlled_batch([text])[0]

    def encode_controlled_batch(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """The same for many texts, in order, on all cores."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [(encoding.ids, encoding.offsets) for encoding in found]

    def decode(self, ids: Iterable[int], skip_control: bool = False) -> str:
        """Text of token ids; control tokens are spelt out unless `skip_control`."""
        kept = [number for number in ids if not (skip_control and number in self.control_ids)]
        return str(self._original.decode(kept, skip_special_tokens=False))

    def shield(self, text: str) -> str:
        """The text with every spelling of a control token replaced by a stand-in, so that control tokens added later
        can be told apart.
        """
        return self._exchanged(text, self._shields)

    def unshield(self, text: str) -> str:
        """Turns control tokens into the names `encode_controlled` knows, and stand-ins back into the text they stand
        for.
        """
        named = self._exchanged(text, self._names)
        return self._shield_pattern.sub(lambda found: self._shielded[found.group()], named)

    def _exchanged(self, text: str, names: dict[str, str]) -> str:
        """The text with every control token, longest first, replaced by its other name.

        Looks up what begins like a control token instead of matching one pattern of them all: models have up to 6,400.
        """
        pieces: list[str] = []
        done = 0
        for found in self._beginning.finditer(text):
            start = found.start()
            if start < done:
                continue
            token = next((name for length in self._lengths if (name := text[start : start + length]) in names), None)
            if token is not None:
                pieces += [text[done:start], names[token]]
                done = start + len(token)
        return "".join([*pieces, text[done:]]) if pieces else text

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids of the control tokens."""
        return frozenset(self.control.values())

    @cached_property
    def end_of_document(self) -> int:
        """Id of the token that ends a raw document.

        Raises:
            InputError: the tokenizer has neither one of `END_OF_DOCUMENT` nor an eos token.
        """
        for name in (*END_OF_DOCUMENT, self.named("eos_token")):
            if name in self.control:
                return self.control[name]
        raise InputError("base_model: the tokenizer names no eos_token, so the end of a document cannot be marked")

    @cached_property
    def prefix_ids(self) -> tuple[int, ...]:
        """Ids that the model expects before any text (a beginning-of-sequence token); empty for most models."""
        ids = self._original.encode("a", add_special_tokens=True).ids
        bare = self._original.encode("a", add_special_tokens=False).ids
        return tuple(ids[: ids.index(bare[0])]) if bare else ()

    @cached_property
    def vocabulary_size(self) -> int:
        """Number of ids, added tokens included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def named(self, role: str) -> str:
        """The token that `tokenizer_config.json` names for a role such as `eos_token`, or an empty string."""
        value = self.config.get(role)
        return str(value["content"] if isinstance(value, dict) else value or "")

    @cached_property
    def _original(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self._plain)


@lru_cache(maxsize=4)
def stored_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of a model in the store, where nothing changes: loading takes 0.4 s, so once per process."""
    return TextTokenizer.load(folder)


def _control_tokens(document: dict[str, Any], chat_template: str | None) -> dict[str, int]:
    """Added tokens that are special, or that the chat template writes (Qwen's `<tool_call>` is not marked special,
    yet steers the model).
    """
    return {
        token["content"]: token["id"]
        for token in document.get("added_tokens", [])
        if token["special"]
        or (chat_template is not None and token["content"].strip() and token["content"] in chat_template)
    }


def _renamed(document: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A `tokenizer.json` whose control tokens bear other names and the same ids."""
    model = dict(document["model"])
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        model["vocab"] = {names.get(token, token): number for token, number in vocabulary.items()}
    elif isinstance(vocabulary, list):
        model["vocab"] = [[names.get(token, token), score] for token, score in vocabulary]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    added = [
        token | {"content": names[token["content"]], "special": True, "normalized": False}
        if token["content"] in names
        else token
        for token in document.get("added_tokens", [])
    ]
    # The post-processor names tokens too, but only adds what `prefix_ids` reads from the original.
    return document | {"model": model, "added_tokens": added, "post_processor": None}


def _configured_template(config: dict[str, Any]) -> str | None:
    template = config.get("chat_template")
    if isinstance(template, list):  # older models list several by name
        template = next((entry["template"] for entry in template if entry["name"] == "default"), None)
    return template if isinstance(template, str) else None
