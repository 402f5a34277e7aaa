"""What a model makes of given text: losses, likeliest tokens, divergence from its base; children only.

Rows are never packed: right-padded or alone, summed in 64 bits, so no figure depends on how they were batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from tasks.base.batching import by_padded_length
from tasks.base.records import IGNORED

BATCH_TOKENS: Final = 2_048
"""Padded tokens of a forward pass on a CPU: logits of 50,000 words in 32 bits are then 400 MB."""
GPU_FACTOR: Final = 16
"""A GPU takes this many times the batch: its memory is for nothing else, and small batches leave it idle."""
TOP: Final = 20
"""Likeliest tokens that are kept of a distribution: as good as all of them (thinking-machines-lab/tinker-cookbook)."""
NO_TOKEN: Final = -1
"""Id where a token has no distribution before it: at a text's beginning, in rows without any."""


def losses(
    model: Any, rows: Sequence[dict[str, Any]], pad_id: int, batch_tokens: int | None = None
) -> list[dict[str, float]]:
    """Loss in `nats` and number of loss-bearing `tokens` of each row (`input_ids`, `labels`), in order."""
    measured: list[dict[str, float]] = [{}] * len(rows)
    for batch in by_padded_length([len(row["input_ids"]) for row in rows], 0, batch_tokens or _batch_tokens(model)):
        logits = _logits(model, [rows[index]["input_ids"] for index in batch], pad_id)
        for position, index in enumerate(batch):
            labels = torch.tensor(rows[index]["labels"][1:], device=logits.device)
            bearing = labels != IGNORED
            picked = logits[position, : len(labels)][bearing].float()
            nats = torch.nn.functional.cross_entropy(picked, labels[bearing], reduction="none").double().sum()
            measured[index] = {"nats": float(nats), "tokens": int(bearing.sum())}
    return measured


def top_logprobs(
    model: Any, rows: Sequence[Sequence[int]], pad_id: int, top: int = TOP, batch_tokens: int | None = None
) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """The model's likeliest tokens before each token of given texts.

    Args:
        model: usually the base.
        rows: token ids of whole texts.
        pad_id: fills gaps.
        top: how many.
        batch_tokens: padded tokens of a forward pass; null = by the device.

    Returns:
        Per row `(ids, logprobs)`, int32 and float32 `[tokens, top]`, the likeliest first. Entry t is the distribution
        that token t was drawn from, given those before it; entry 0 has none: `NO_TOKEN` and minus infinity.
        Probabilities are of the whole vocabulary, so what is missing to 1 is the rest.
    """
    likeliest: list[Any] = [None] * len(rows)
    for batch in by_padded_length([len(row) for row in rows], 0, batch_tokens or _batch_tokens(model)):
        logits = _logits(model, [list(rows[index]) for index in batch], pad_id)
        for position, index in enumerate(batch):
            length = len(rows[index])
            best = logits[position, : length - 1].float().log_softmax(-1).topk(top, dim=-1)
            ids = np.full((length, top), NO_TOKEN, dtype=np.int32)
            logprobs = np.full((length, top), -np.inf, dtype=np.float32)
            ids[1:], logprobs[1:] = best.indices.cpu().numpy(), best.values.cpu().numpy()
            likeliest[index] = (ids, logprobs)
    return likeliest


def divergence(model: Any, rows: Sequence[dict[str, Any]]) -> float:
    """Mean KL(tuned ‖ base) in nats over the loss-bearing positions of the rows.

    The base is the same model with its adapter switched off.

    Forgetting tracks this figure on general text (arXiv 2509.04259).
    """
    nats, tokens = 0.0, 0
    at = next(model.parameters()).device
    for row in rows:
        ids = torch.tensor([row["input_ids"]], device=at)
        bearing = torch.tensor(row["labels"][1:], device=at) != IGNORED
        with torch.inference_mode():
            tuned = model(input_ids=ids, use_cache=False).logits[0, :-1][bearing].float().log_softmax(-1)
            with model.disable_adapter():
                base = model(input_ids=ids, use_cache=False).logits[0, :-1][bearing].float().log_softmax(-1)
        nats += float((tuned.exp() * (tuned - base)).double().sum())
        tokens += int(bearing.sum())
    return nats / tokens


def distributions(model: Any, ids: list[int], start: int) -> torch.Tensor:
    """Log-probabilities before each token from `start` on: `[tokens, words]`, 64 bits, on the CPU."""
    at = next(model.parameters()).device
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids], device=at), use_cache=False).logits[0, start - 1 : -1]
    return torch.log_softmax(logits.double().cpu(), -1)


def _logits(model: Any, rows: list[list[int]], pad_id: int) -> torch.Tensor:
    longest, at = max(map(len, rows)), next(model.parameters()).device
    padded = [ids + [pad_id] * (longest - len(ids)) for ids in rows]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in rows]
    with torch.inference_mode():
        logits: torch.Tensor = model(
            input_ids=torch.tensor(padded, device=at), attention_mask=torch.tensor(mask, device=at), use_cache=False
        ).logits
    return logits


def _batch_tokens(model: Any) -> int:
    return BATCH_TOKENS * (GPU_FACTOR if next(model.parameters()).is_cuda else 1)
