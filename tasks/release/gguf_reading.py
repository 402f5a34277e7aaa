"""A GGUF file in llama.cpp itself, the program that will answer with it; in the child only."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any, Final

LIKELIEST: Final = 256
"""So many of the next tokens have their probability told."""


class GgufModel:
    """The model of a file; one at a time is loaded."""

    def __init__(self, file: Path, tokens: int) -> None:
        """Loads it for texts of up to so many tokens."""
        from xllamacpp import CommonParams, Server

        params: Any = CommonParams()
        params.model.path = str(file)
        params.n_ctx = tokens + 1
        params.n_parallel = 1
        params.warmup = False
        params.verbosity = 1  # errors: what a failed job leaves behind is the end of its log
        self._server = Server(params)
        self._whole = self.tokens("a")[-1]
        """What is written each time: of a token that ends a text or is half a character no probabilities are told, and
        those that are told know no bias.
        """

    def tokens(self, text: str) -> list[int]:
        """The text as the file's own tokenizer reads it, without a beginning token."""
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        request = urllib.request.Request(
            f"{self._server.listening_address}/tokenize", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            found: list[int] = json.load(answer)["tokens"]
            return found

    def next(self, ids: list[int]) -> dict[int, float]:
        """Log-probabilities of the likeliest tokens after these, the likeliest first."""
        asked = {"prompt": ids, "max_tokens": 1, "temperature": 0, "logprobs": LIKELIEST}
        said = self._server.handle_completions(asked | {"logit_bias": [[self._whole, 1000.0]]})
        (first,) = said["choices"][0]["logprobs"]["content"]
        return {one["id"]: one["logprob"] for one in first["top_logprobs"]}
