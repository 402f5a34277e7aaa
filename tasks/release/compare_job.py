"""The child job of the export's check: measures that an export still says what the adapter says.

Merged weights answer in transformers, GGUF files in llama.cpp, which tells the likeliest tokens' probabilities only.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoTokenizer

from tasks.model.child_main import Report
from tasks.model.generate import Generator, Manner, Prompt
from tasks.model.loading import load
from tasks.model.scoring import distributions
from tasks.release.requests import CompareRequest, Text

WIDE_PARAMETERS: Final = 2_000_000_000
"""Models up to this size are compared in 32 bits, where only the export's own rounding differs; larger ones in 16."""
COMPARED: Final = 20
"""Likeliest tokens at each place by which a file in llama.cpp is compared."""
LIKELIEST: Final = 256
"""How many of the likeliest next tokens llama.cpp gives with their probabilities."""
Row = tuple[list[int], int]
"""Ids of prompt and answer, and where the answer begins."""


def compare(request: CompareRequest, report: Report) -> dict[str, Any]:
    """How far exported models are from the adapter as trained.

    The original answers each prompt greedily; every export is then shown the same answers, token by token.

    Args:
        request: what is compared.
        report: called after each model.

    Returns:
        export → `divergence` (mean KL from the original, nats a token; of a GGUF file a lower bound, over the
        original's `COMPARED` likeliest tokens and all others together), `agreement` (share of tokens where both would
        say the same), `tokens`, `same_ids` (whether the export's own tokenizer reads every text as the original's).
    """
    precision = "float32" if _parameters(request.model) <= WIDE_PARAMETERS else "bfloat16"
    original = load(request.model, request.adapter, precision)
    prompts = [Prompt(ids, request.max_new_tokens) for ids in request.prompts]
    answers = Generator(original, Manner(request.stop_ids, request.pad_id)).write(prompts, lambda facts: None)
    rows = [
        ([*prompt.ids, *answer.ids, *(request.stop_ids[:1] if answer.finished else ())], len(prompt.ids))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    wanted = [distributions(original, *row) for row in rows]
    del original
    differences: dict[str, Any] = {}
    tokens = sum(map(len, wanted))
    for number, (name, path) in enumerate(request.exports.items(), 1):
        compared = _in_llama_cpp if path.suffix == ".gguf" else _in_transformers
        divergence, agreed, same_ids = compared(path, rows, wanted, request.texts, precision)
        differences[name] = {"divergence": divergence / tokens, "agreement": agreed / tokens, "tokens": tokens}
        differences[name]["same_ids"] = same_ids
        report({"done": number, "total": len(request.exports), "unit": "exports"})
    return {"exports": differences}


def _in_transformers(
    path: Path, rows: list[Row], wanted: list[torch.Tensor], texts: Sequence[Text], precision: str
) -> tuple[float, int, bool]:
    """`(divergence, tokens agreed on, whether all texts have the same ids)`."""
    export = load(path, precision=precision)
    divergence, agreed = 0.0, 0
    for row, target in zip(rows, wanted, strict=True):
        given = distributions(export, *row)
        divergence += float((target.exp() * (target - given)).sum())
        agreed += int((target.argmax(-1) == given.argmax(-1)).sum())
    tokenizer = AutoTokenizer.from_pretrained(str(path))
    same = all(tokenizer(one.text, add_special_tokens=False)["input_ids"] == list(one.ids) for one in texts)
    return divergence, agreed, same


def _in_llama_cpp(
    path: Path, rows: list[Row], wanted: list[torch.Tensor], texts: Sequence[Text], precision: str
) -> tuple[float, int, bool]:
    """The same by llama.cpp, which reads one more token of a row at a time."""
    export = GgufModel(path, max(len(ids) for ids, _ in rows))
    divergence, agreed = 0.0, 0
    for (ids, start), target in zip(rows, wanted, strict=True):
        for position, expected in enumerate(target, start):
            given = export.next(ids[:position])
            divergence += told_divergence(expected, given)
            agreed += int(expected.argmax()) == next(iter(given))
    return divergence, agreed, all(export.tokens(one.text) == list(one.ids) for one in texts)


def told_divergence(expected: torch.Tensor, given: dict[int, float]) -> float:
    """KL in nats over the likeliest tokens and the rest as one, from which it can only be smaller.

    Args:
        expected: log-probabilities of the whole vocabulary.
        given: those of the likeliest tokens, the likeliest first; another token has at most the last one's.
    """
    top = expected.topk(min(COMPARED, len(expected)))
    least = min(given.values())
    p = top.values.exp().double()
    q = torch.tensor([given.get(token, least) for token in top.indices.tolist()]).exp().double()
    p_rest, q_rest = (1 - p.sum()).clamp(min=0), (1 - q.sum()).clamp(min=1e-12)
    return float((p * (p / q).log()).sum() + torch.xlogy(p_rest, p_rest / q_rest))


def _parameters(model: Path) -> int:
    """Of a folder's weights, by their size: 16 bits each at least."""
    return sum(file.stat().st_size for file in model.glob("*.safetensors")) // 2


class GgufModel:
    """The model of a file; one at a time is loaded."""

    def __init__(self, file: Path, tokens: int) -> None:
        """Loads the file for texts of up to `tokens` tokens."""
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
            ids: list[int] = json.load(answer)["tokens"]
            return ids

    def next(self, ids: list[int]) -> dict[int, float]:
        """Log-probabilities of the likeliest tokens after these, the likeliest first."""
        asked = {"prompt": ids, "max_tokens": 1, "temperature": 0, "logprobs": LIKELIEST}
        said = self._server.handle_completions(asked | {"logit_bias": [[self._whole, 1000.0]]})
        (first,) = said["choices"][0]["logprobs"]["content"]
        return {one["id"]: one["logprob"] for one in first["top_logprobs"]}
