"""Losses of target tokens through a frozen output layer, without keeping logits.

The gradient with respect to the hidden state is formed while a chunk's logits are at hand, so the output layer is
multiplied twice per token (forward, and probabilities times weights) and never again in the backward pass; only
`[N, hidden]` is kept.
"""

from __future__ import annotations

from typing import Any, Final

import torch

CHUNK_LOGITS: Final = 1 << 26
"""Logits in memory at a time: 256 MB in float32."""


class FrozenHeadLoss(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
    """`losses[i] = -log softmax(hidden[i] @ weight.T)[targets[i]]` for a weight that gets no gradient."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Losses in float32 `[N]` of hidden states `[N, H]`, weight `[V, H]`, targets int64 `[N]`."""
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden)
        rows = max(1, CHUNK_LOGITS // len(weight))
        for start in range(0, len(hidden), rows):
            piece = slice(start, start + rows)
            logits = (hidden[piece] @ weight.T).float()
            aims = targets[piece, None]
            top = logits.gather(1, aims)[:, 0]
            normaliser = torch.logsumexp(logits, dim=1)
            losses[piece] = normaliser - top
            probabilities = torch.exp_(logits.sub_(normaliser[:, None]))
            probabilities.scatter_add_(1, aims, torch.full_like(aims, -1, dtype=torch.float32))
            gradient[piece] = probabilities.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Gradient of the hidden states."""
        (gradient,) = ctx.saved_tensors
        return gradient * outputs[0][:, None].to(gradient.dtype), None, None


def target_losses(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss in nats of each target token, float32 `[N]`; differentiable with respect to `hidden` only.

    The products run in the weight's precision: accelerate hands hidden states of 16 bits on as 32 bits.
    """
    losses: torch.Tensor = FrozenHeadLoss.apply(hidden.to(weight.dtype), weight, targets)
    return losses
