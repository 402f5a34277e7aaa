"""The child job of `replay_answers`: greedy answers of the base model. Torch is imported nowhere else in this room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import torch

from tasks.base.batching import by_padded_length
from tasks.model.child_main import Report

BATCH_TOKENS: Final = 8_192
"""Prompt and answer tokens of a batch."""
MOST_BATCH_TOKENS: Final = 1 << 19
"""Of a GPU; larger batches are no faster."""
CACHE_PART: Final = 0.4
"""Of a GPU's free memory, which keys and values may take; they stand twice in it while a step appends to them."""


def answer(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Continues prompts until a stop id.

    Args:
        request: `model` (folder), `prompts` (file of JSON lines, a list of ids each), `stop_ids`, `max_new_tokens`.
        report: called after each batch.

    Returns:
        `answers`: per prompt, in order, `{ids, finished}`, without the stop id.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    prompts = [json.loads(line) for line in Path(request["prompts"]).read_text("utf-8").splitlines()]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = AutoModelForCausalLM.from_pretrained(request["model"], dtype="auto").to(device).eval()
    stops = set(request["stop_ids"])
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=request["max_new_tokens"],
        eos_token_id=sorted(stops),
        pad_token_id=min(stops),
    )
    answers: list[dict[str, Any]] = [{} for _ in prompts]
    done = 0
    for batch in by_padded_length(
        [len(prompt) for prompt in prompts], request["max_new_tokens"], _batch_tokens(model, device)
    ):
        longest = max(len(prompts[index]) for index in batch)
        gaps = [longest - len(prompts[index]) for index in batch]
        ids = [[min(stops)] * gap + prompts[index] for gap, index in zip(gaps, batch, strict=True)]
        mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
        with torch.inference_mode():
            output = model.generate(
                input_ids=torch.tensor(ids, device=device),
                attention_mask=torch.tensor(mask, device=device),
                generation_config=config,
            )
        for index, row in zip(batch, output[:, longest:].tolist(), strict=True):
            end = next((place for place, token in enumerate(row) if token in stops), None)
            answers[index] = {"ids": row[:end], "finished": end is not None}
        done += len(batch)
        report({"done": done, "total": len(prompts)})
    return {"answers": answers}


def _batch_tokens(model: Any, device: torch.device) -> int:
    """Tokens whose keys and values fit; a GPU is left idle by small batches."""
    if device.type != "cuda":
        return BATCH_TOKENS
    config = model.config.get_text_config()
    width = config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * width * model.dtype.itemsize
    free, _ = torch.cuda.mem_get_info()
    return max(BATCH_TOKENS, min(MOST_BATCH_TOKENS, int(CACHE_PART * free / per_token)))
