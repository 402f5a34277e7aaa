"""The child job of the export's check: measures that what was exported still says the same as the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from tasks.model.child_main import Report

WIDE_PARAMETERS = 2_000_000_000
"""Models up to this size are compared in 32 bits, where only the export's own rounding differs; larger ones in 16."""


def compare(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """How far exported models are from the adapter as trained.

    The original answers each prompt greedily; every export is then shown the same answers, token by token.

    Args:
        request: `model`, `adapter` (folders), `exports` (name → path of a folder or of a .gguf file), `prompts` (lists
            of token ids), `texts` (`text` and its `ids`), `max_new_tokens`, `stop_ids`, `pad_id`.
        report: called after each model.

    Returns:
        export → `divergence` (mean KL from the original, nats a token), `agreement` (share of tokens where both would
        say the same), `tokens`, `same_ids` (whether the export's own tokenizer reads every text as the original's).
    """
    original, dtype = _load_original(request["model"], request["adapter"])
    rows = [_answer(original, prompt, request) for prompt in request["prompts"]]
    wanted = [_distributions(original, *row) for row in rows]
    del original
    found: dict[str, Any] = {}
    for number, (name, path) in enumerate(request["exports"].items(), 1):
        export = _load_export(Path(path), dtype)
        divergence, agreed, tokens = 0.0, 0, 0
        for row, target in zip(rows, wanted, strict=True):
            given = _distributions(export, *row)
            divergence += float((target.exp() * (target - given)).sum())
            agreed += int((target.argmax(-1) == given.argmax(-1)).sum())
            tokens += len(target)
        found[name] = {"divergence": divergence / tokens, "agreement": agreed / tokens, "tokens": tokens}
        found[name]["same_ids"] = _same_ids(Path(path), request["texts"])
        report({"done": number, "total": len(request["exports"]), "unit": "exports"})
        del export
    return {"exports": found}


def _load_original(model: str, adapter: str) -> tuple[Any, torch.dtype]:
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    small = sum(parameter.numel() for parameter in base.parameters()) <= WIDE_PARAMETERS
    dtype = torch.float32 if small else torch.bfloat16
    return PeftModel.from_pretrained(base.to(dtype), adapter).to(_device()).eval(), dtype


def _load_export(path: Path, dtype: torch.dtype) -> Any:
    if path.suffix == ".gguf":
        model = AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
        )
    else:
        model = AutoModelForCausalLM.from_pretrained(str(path), dtype=dtype)
    return model.to(_device()).eval()


def _same_ids(path: Path, texts: list[dict[str, Any]]) -> bool:
    options = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent if options else path), **options)
    return all(tokenizer(one["text"], add_special_tokens=False)["input_ids"] == one["ids"] for one in texts)


def _answer(model: Any, prompt: list[int], request: dict[str, Any]) -> tuple[list[int], int]:
    """The prompt with its greedy answer, and where the answer begins."""
    ids = torch.tensor([prompt], device=_device())
    with torch.inference_mode():
        made = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=request["max_new_tokens"],
            eos_token_id=request["stop_ids"],
            pad_token_id=request["pad_id"],
        )
    return made[0].tolist(), len(prompt)


def _distributions(model: Any, ids: list[int], start: int) -> torch.Tensor:
    """Log-probabilities of what comes before each token of the answer, 64 bits, on the CPU: [tokens, vocabulary]."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids], device=_device()), use_cache=False).logits[0, start - 1 : -1]
    return torch.log_softmax(logits.double().cpu(), -1)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
