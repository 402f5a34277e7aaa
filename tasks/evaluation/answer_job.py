"""The child job of `answer`: greedy answers and losses of one model, with or without an adapter. The only place of
this room that imports torch.

Batches are made of the prompts in order of length, so a batch's composition depends on the prompts and the budget
alone. Each finished batch is appended to a file; an interrupted job that starts again takes it from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tasks.base.batching import by_padded_length
from tasks.base.records import IGNORED
from tasks.model.child_main import Report

"""Label of a token that bears no loss."""

GPU_FACTOR = 16
"""A GPU takes this many times the batch: its memory is for nothing else, and small batches leave it idle."""

LOSS_BATCH_TOKENS = 2_048
"""Padded tokens per forward pass when losses are measured: logits of 50,000 words in 32 bits are then 400 MB."""


def answer(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Answers prompts and measures losses.

    Args:
        request: `model` and `adapter` (folders; the adapter may be null), `prompts` (JSON lines with `ids` and `limit`,
            the most new tokens), `rows` (JSON lines with `stream`, `input_ids`, `labels`), `finished` (JSON lines of
            finished batches, made if missing), `batch_tokens`, `stop_ids`, `pad_id`, `dtype` (`auto` or a torch name),
            `kl_stream` (stream on which the divergence from the base model is measured too, or null).
        report: called after each batch.

    Returns:
        `answers`: per prompt, in order, `{ids, tokens, finished}`; `rows`: per row, in order, `{nats, tokens}`;
            `kl`: mean
        divergence in nats per token, or null without an adapter; `seconds` per phase, `device`, `dtype`.
    """
    began = time.monotonic()
    prompts = [json.loads(line) for line in Path(request["prompts"]).read_text("utf-8").splitlines()]
    rows = [json.loads(line) for line in Path(request["rows"]).read_text("utf-8").splitlines()]
    model, device = load(request["model"], request["adapter"], request["dtype"])
    factor = GPU_FACTOR if device.type == "cuda" else 1
    loaded = time.monotonic()

    def greedy(ids: list[list[int]], limit: int) -> list[dict[str, Any]]:
        return generate(model, device, ids, limit, request["stop_ids"], request["pad_id"])

    finished = Path(request["finished"])
    answers = generate_all(greedy, prompts, finished, factor * request["batch_tokens"], report)
    generated = time.monotonic()
    measured = losses(model, device, rows, request["pad_id"], factor * LOSS_BATCH_TOKENS)
    general = [row for row in rows if row["stream"] == request["kl_stream"]]
    return {
        "answers": answers,
        "rows": measured,
        "kl": divergence(model, device, general) if request["adapter"] and general else None,
        "seconds": {
            "load": round(loaded - began, 3),
            "generate": round(generated - loaded, 3),
            "losses": round(time.monotonic() - generated, 3),
        },
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def generate_all(
    generate: Callable[[list[list[int]], int], list[dict[str, Any]]],
    prompts: list[dict[str, Any]],
    finished: Path,
    batch_tokens: int,
    report: Report,
) -> list[dict[str, Any]]:
    """Answers in the order of the prompts.

    Args:
        generate: `(token ids of prompts, most new tokens) -> ids, tokens, finished of each`.
        prompts: `ids` and `limit` of each.
        finished: log of finished batches, made if missing.
        batch_tokens: prompt and answer tokens of a batch.
        report: called after each batch.
    """
    answers: list[dict[str, Any]] = [{}] * len(prompts)
    done = _finished(finished)
    answered = 0
    with finished.open("a", encoding="utf-8") as log:
        for limit in sorted({prompt["limit"] for prompt in prompts}):
            chosen = [index for index, prompt in enumerate(prompts) if prompt["limit"] == limit]
            for places in by_padded_length([len(prompts[index]["ids"]) for index in chosen], limit, batch_tokens):
                batch = [chosen[place] for place in places]
                ids = [prompts[index]["ids"] for index in batch]
                name = hashlib.sha256(json.dumps([limit, ids]).encode()).hexdigest()
                if name not in done:
                    done[name] = generate(ids, limit)
                    # the line break comes first: a line that death cut short stays a line of its own
                    log.write("\n" + json.dumps({"batch": name, "answers": done[name]}))
                    log.flush()
                    os.fsync(log.fileno())
                for index, one in zip(batch, done[name], strict=True):
                    answers[index] = one
                answered += len(batch)
                report({"done": answered, "total": len(prompts), "unit": "answers"})
    return answers


def load(folder: str, adapter: str | None, dtype: str = "auto") -> tuple[Any, torch.device]:
    """The model in evaluation mode, with the adapter unmerged (a merge in bf16 would drown small updates).

    `auto` is bf16 where the hardware computes in it (on a CPU: AVX512-BF16, twice as fast as fp32; without it fp32
    is faster).
    """
    from transformers import AutoModelForCausalLM

    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    if dtype == "auto":
        fast = torch.cuda.is_bf16_supported() if cuda else "bf16" in _cpu_flags()
        dtype = "bfloat16" if fast else "float32"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter)
    return model.to(device).eval(), device


def generate(
    model: Any, device: torch.device, prompts: list[list[int]], max_new_tokens: int, stop_ids: list[int], pad_id: int
) -> list[dict[str, Any]]:
    """Greedy continuations of left-padded prompts: `ids` without the end token, `tokens` with it, `finished` if an
    end token came in time.
    """
    from transformers import GenerationConfig

    longest = max(map(len, prompts))
    input_ids = torch.tensor([[pad_id] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    config = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=stop_ids, pad_token_id=pad_id, use_cache=True
    )
    with torch.inference_mode():
        output = model.generate(input_ids=input_ids, attention_mask=mask, generation_config=config)
    made = []
    for row in output[:, longest:].tolist():
        end = next((position for position, token in enumerate(row) if token in stop_ids), None)
        ids = row if end is None else row[:end]
        made.append({"ids": ids, "tokens": len(ids) + (end is not None), "finished": end is not None})
    return made


def losses(
    model: Any, device: torch.device, rows: list[dict[str, Any]], pad_id: int, batch_tokens: int
) -> list[dict[str, float]]:
    """Sum of the loss in nats and number of loss-bearing tokens per row, in the order of the rows.

    Rows are right-padded, never packed, and summed in 64 bits, so nothing depends on how they were batched.
    """
    measured: list[dict[str, float]] = [{}] * len(rows)
    for batch in by_padded_length([len(row["input_ids"]) for row in rows], 0, batch_tokens):
        longest = max(len(rows[index]["input_ids"]) for index in batch)
        lengths = [len(rows[index]["input_ids"]) for index in batch]
        padded = [
            rows[index]["input_ids"] + [pad_id] * (longest - length)
            for index, length in zip(batch, lengths, strict=True)
        ]
        mask = [[1] * length + [0] * (longest - length) for length in lengths]
        with torch.inference_mode():
            logits = model(
                input_ids=torch.tensor(padded, device=device),
                attention_mask=torch.tensor(mask, device=device),
                use_cache=False,
            ).logits
        for position, index in enumerate(batch):
            labels = torch.tensor(rows[index]["labels"][1:], device=device)
            bearing = labels != IGNORED
            picked = logits[position, : len(labels)][bearing].float()
            nats = torch.nn.functional.cross_entropy(picked, labels[bearing], reduction="none").double().sum()
            measured[index] = {"nats": float(nats), "tokens": int(bearing.sum())}
    return measured


def divergence(model: Any, device: torch.device, rows: list[dict[str, Any]]) -> float:
    """Mean KL(tuned ‖ base) in nats over the loss-bearing positions of the rows; the base is the same model with its
    adapter switched off.

    Forgetting tracks this figure on general text (arXiv 2509.04259).
    """
    nats, tokens = 0.0, 0
    for row in rows:
        ids = torch.tensor([row["input_ids"]], device=device)
        bearing = torch.tensor(row["labels"][1:], device=device) != IGNORED
        with torch.inference_mode():
            tuned = model(input_ids=ids, use_cache=False).logits[0, :-1][bearing].float().log_softmax(-1)
            with model.disable_adapter():
                base = model(input_ids=ids, use_cache=False).logits[0, :-1][bearing].float().log_softmax(-1)
        nats += float((tuned.exp() * (tuned - base)).double().sum())
        tokens += int(bearing.sum())
    return nats / tokens


def _finished(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Batches that an earlier try finished; a line cut short by its death is not one."""
    done: dict[str, list[dict[str, Any]]] = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            done[entry["batch"]] = entry["answers"]
    return done


def _cpu_flags() -> str:
    """What the kernel says about the processor, or nothing where it does not say."""
    path = Path("/proc/cpuinfo")
    return (
        next((line for line in path.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
        if path.exists()
        else ""
    )
