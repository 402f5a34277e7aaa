"""The child job of `mixture/replay`: text drawn from a model at temperature 1, and the likeliest tokens beside it.

A draw is the inverse of the cumulated probabilities at a number that depends on seed, sample and position alone, so a
sample does not depend on which others are in its batch, nor on how many are asked for. Torch is imported nowhere else
in this room.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.base.batching import by_padded_length
from tasks.model.child_main import Report

CPU_BATCH_TOKENS: Final = 16_384
"""Given and drawn tokens of a batch on a CPU."""
MOST_BATCH_TOKENS: Final = 1 << 20
"""On a GPU; larger batches are no faster."""
CACHE_PART: Final = 0.35
"""Of a GPU's memory, which keys and values may take; they stand twice in it while a step appends to them."""
FORWARD_TOKENS: Final = 16_384
"""Of a forward pass for the likeliest tokens: logits of 50,000 words in 32 bits are then 3 GB on a GPU."""


class Drawn:
    """A logits processor that leaves one token possible: the drawn one. `generate` then takes it greedily."""

    def __init__(self, numbers: torch.Tensor, given_tokens: int) -> None:
        self._numbers, self._given = numbers, given_tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """All scores −∞ but that of the token at which the cumulated probability passes the sample's number."""
        step = input_ids.shape[1] - self._given
        cumulated = scores.float().softmax(-1).cumsum(-1)
        at = self._numbers[:, step, None] * cumulated[:, -1:]
        chosen = torch.searchsorted(cumulated, at, right=True).clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)


def sample(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Continues prompts at temperature 1.

    Args:
        request: `model` (folder), `prompts` (JSON lines of `name`, `ids`, `limit` and `stops`, the ids that end a
            sample), `seed`, `finished` (JSON lines of finished batches, made if missing), `pad_id`.
        report: called after each batch.

    Returns:
        `samples`: per prompt, in order, `{ids, stop}`: ids without the one that ended it, and that one or null;
        `seconds`, `device`, `dtype`, `engine`.
    """
    import transformers

    began = time.monotonic()
    prompts = [json.loads(line) for line in Path(request["prompts"]).read_text("utf-8").splitlines()]
    model, device = _load(request["model"])
    loaded = time.monotonic()
    done = _finished(Path(request["finished"]))
    samples: list[dict[str, Any]] = [{} for _ in prompts]
    ready = 0
    with Path(request["finished"]).open("a", encoding="utf-8") as log:
        for batch in _batches(prompts, _batch_tokens(model, device)):
            members = [prompts[index] for index in batch]
            key = hashlib.sha256(json.dumps([request["seed"], members]).encode()).hexdigest()
            if key not in done:
                done[key] = _draw(model, device, members, request["seed"], request["pad_id"])
                log.write("\n" + json.dumps({"batch": key, "samples": done[key]}))
                log.flush()
            for index, made in zip(batch, done[key], strict=True):
                samples[index] = made
            ready += len(batch)
            report({"done": ready, "total": len(prompts)})
    return {
        "samples": samples,
        "seconds": {"load": round(loaded - began, 3), "sample": round(time.monotonic() - loaded, 3)},
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "dtype": str(model.dtype).removeprefix("torch."),
        "engine": f"transformers {transformers.__version__}",
    }


def soften(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The likeliest tokens at every position of rows.

    Args:
        request: `model` (folder), `rows` (JSON lines, a list of ids each), `most` (tokens per position), `out` (an .npz
            file, written: `ids` int32 and `logprobs` float16, both [tokens of all rows, most], likeliest first; at a
            row's first token, which nothing predicts, −1 and 0).
        report: called after each batch.

    Returns:
        `tokens` and `seconds`.
    """
    began = time.monotonic()
    rows = [json.loads(line) for line in Path(request["rows"]).read_text("utf-8").splitlines()]
    model, device = _load(request["model"])
    starts = np.cumsum([0, *map(len, rows)])
    ids = np.full((starts[-1], request["most"]), -1, np.int32)
    logprobs = np.zeros((starts[-1], request["most"]), np.float16)
    ready = 0
    for batch in by_padded_length([len(row) for row in rows], 0, FORWARD_TOKENS if device.type == "cuda" else 2_048):
        longest = max(len(rows[index]) for index in batch)
        padded = torch.tensor([rows[index] + [0] * (longest - len(rows[index])) for index in batch], device=device)
        with torch.inference_mode():  # causal, and padded on the right: no position sees the padding
            best = model(input_ids=padded, use_cache=False).logits.float().log_softmax(-1).topk(request["most"], -1)
        likely, nats = best.indices.int().cpu().numpy(), best.values.half().cpu().numpy()
        for place, index in enumerate(batch):
            predicted = slice(starts[index] + 1, starts[index + 1])
            ids[predicted] = likely[place, : len(rows[index]) - 1]
            logprobs[predicted] = nats[place, : len(rows[index]) - 1]
        ready += len(batch)
        report({"done": ready, "total": len(rows)})
    np.savez(request["out"], ids=ids, logprobs=logprobs)
    return {"tokens": int(starts[-1]), "seconds": round(time.monotonic() - began, 3)}


def _load(folder: str) -> tuple[Any, torch.device]:
    from transformers import AutoModelForCausalLM

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=_dtype())
    return model.to(device).eval(), device


def _dtype() -> torch.dtype:
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16
    return torch.float32


def _draw(model: Any, device: torch.device, prompts: list[dict[str, Any]], seed: int, pad: int) -> list[dict[str, Any]]:
    """Samples of one batch, all of one limit."""
    from transformers import GenerationConfig

    limit = prompts[0]["limit"]
    longest = max(len(prompt["ids"]) for prompt in prompts)
    gaps = [longest - len(prompt["ids"]) for prompt in prompts]
    ids = [[pad] * gap + prompt["ids"] for gap, prompt in zip(gaps, prompts, strict=True)]
    mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
    numbers = np.stack([_numbers(seed, prompt["name"], limit) for prompt in prompts])
    config = GenerationConfig(
        do_sample=False, max_new_tokens=limit, eos_token_id=sorted(prompts[0]["stops"]), pad_token_id=pad
    )
    with torch.inference_mode():
        output = model.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=config,
            logits_processor=[Drawn(torch.tensor(numbers, device=device), longest)],
        )
    made = []
    for row, prompt in zip(output[:, longest:].tolist(), prompts, strict=True):
        end = next((place for place, token in enumerate(row) if token in prompt["stops"]), None)
        made.append({"ids": row[:end], "stop": None if end is None else row[end]})
    return made


def _numbers(seed: int, name: str, count: int) -> NDArray[np.float32]:
    """Uniform numbers of a sample, the same on every machine and however many are taken."""
    key = int.from_bytes(hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest(), "big")
    return np.random.Generator(np.random.Philox(key=key)).random(count, np.float32)


def _batches(prompts: list[dict[str, Any]], budget: int) -> Iterator[list[int]]:
    """Numbers of prompts of one limit and one set of stops, of similar length; `budget` tokens together."""
    kinds = sorted({(prompt["limit"], tuple(prompt["stops"])) for prompt in prompts})
    for limit, stops in kinds:
        chosen = [index for index, one in enumerate(prompts) if one["limit"] == limit and tuple(one["stops"]) == stops]
        for places in by_padded_length([len(prompts[index]["ids"]) for index in chosen], limit, budget):
            yield [chosen[place] for place in places]


def _batch_tokens(model: Any, device: torch.device) -> int:
    """Tokens whose keys and values fit; a GPU is left idle by small batches."""
    if device.type != "cuda":
        return CPU_BATCH_TOKENS
    config = model.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * width * model.dtype.itemsize
    total = torch.cuda.get_device_properties(device).total_memory
    return max(CPU_BATCH_TOKENS, min(MOST_BATCH_TOKENS, int(CACHE_PART * total / per_token)))


def _finished(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Batches that an earlier try finished; a line cut short by its death is not one."""
    done: dict[str, list[dict[str, Any]]] = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            done[entry["batch"]] = entry["samples"]
    return done
