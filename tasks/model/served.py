"""Which adapters vLLM serves beside the base model; the others are merged into it first."""

from __future__ import annotations

from typing import Final

RANK_LIMITS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` may be: MaxLoRARanks in vllm/config/lora.py, v0.26.0."""
MAX_RANK: Final = RANK_LIMITS[-1]


def is_served(rank: int, embeddings: bool) -> bool:
    """Whether vLLM serves an adapter of that rank, with a trained embedding or output layer or without."""
    return rank <= MAX_RANK and not embeddings


def rank_limit(rank: int) -> int:
    """The smallest limit that an adapter of that rank fits; it must be one that is served."""
    return next(limit for limit in RANK_LIMITS if limit >= rank)
