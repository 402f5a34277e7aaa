"""How long a model writes: prompts are bound by arithmetic, new tokens by reading the weights once for each step."""

from __future__ import annotations

from typing import Final

from tasks.training.plan.cards import Card
from tasks.training.plan.forecast import CPU_RATE
from tasks.training.plan.shape import Shape

PROMPT_SHARE: Final = 0.4
"""Of the peak rate that reading prompts reaches; a guess of ours."""
ROWS: Final = 256
"""Texts that are written together; a guess of ours, memory decides."""
STEP_SHARE: Final = 0.1
"""Of the memory's bandwidth that a step reaches; a guess of ours."""
CPU_SHARE: Final = 3.0
"""A forward pass alone is a third of the training that `CPU_RATE` was measured with."""


def writing_hours(shape: Shape, prompt_tokens: int, new_tokens: int, card: Card | None) -> float:
    """Hours for prompts and new tokens, nobody else on the machine; unmeasured on a GPU.

    Args:
        shape: the model that writes.
        prompt_tokens: that are read.
        new_tokens: that are written.
        card: the GPU; None = the CPU.
    """
    parameters = shape.frozen + shape.vocabulary_parameters
    if card is None:
        return (prompt_tokens + new_tokens) * parameters / (CPU_RATE * CPU_SHARE) / 3600
    reading = 2 * parameters * prompt_tokens / (card.bf16_flops * PROMPT_SHARE)
    writing = 2 * parameters * new_tokens / ROWS / (card.bandwidth * STEP_SHARE)
    return (reading + writing) / 3600
