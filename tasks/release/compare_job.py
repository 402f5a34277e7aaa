"""The child job of the export's check: measures that what was exported still says the same as the adapter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from transformers import AutoTokenizer

from tasks.model.child_main import Report
from tasks.model.generate import Generator, Manner, Prompt
from tasks.model.loading import load, load_gguf
from tasks.model.scoring import distributions
from tasks.release.requests import CompareRequest, Text

WIDE_PARAMETERS: Final = 2_000_000_000
"""Models up to this size are compared in 32 bits, where only the export's own rounding differs; larger ones in 16."""


def compare(request: CompareRequest, report: Report) -> dict[str, Any]:
    """How far exported models are from the adapter as trained.

    The original answers each prompt greedily; every export is then shown the same answers, token by token.

    Args:
        request: what is compared.
        report: called after each model.

    Returns:
        export → `divergence` (mean KL from the original, nats a token), `agreement` (share of tokens where both would
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
    found: dict[str, Any] = {}
    for number, (name, path) in enumerate(request.exports.items(), 1):
        export = load_gguf(path, precision) if path.suffix == ".gguf" else load(path, precision=precision)
        divergence, agreed, tokens = 0.0, 0, 0
        for row, target in zip(rows, wanted, strict=True):
            given = distributions(export, *row)
            divergence += float((target.exp() * (target - given)).sum())
            agreed += int((target.argmax(-1) == given.argmax(-1)).sum())
            tokens += len(target)
        found[name] = {"divergence": divergence / tokens, "agreement": agreed / tokens, "tokens": tokens}
        found[name]["same_ids"] = _same_ids(path, request.texts)
        report({"done": number, "total": len(request.exports), "unit": "exports"})
        del export
    return {"exports": found}


def _parameters(model: Path) -> int:
    """Of a folder's weights, by their size: 16 bits each at least."""
    return sum(file.stat().st_size for file in model.glob("*.safetensors")) // 2


def _same_ids(path: Path, texts: Sequence[Text]) -> bool:
    options = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent if options else path), **options)
    return all(tokenizer(one.text, add_special_tokens=False)["input_ids"] == list(one.ids) for one in texts)
