"""Losses of target tokens and their divergence from another model, without keeping logits.

A target is a label, or soft: the base's likeliest tokens with their probabilities, from which the model is to keep its
distance small. That costs no second forward pass.

Of a frozen output layer the gradient with respect to the hidden state is formed while a chunk's logits are at hand, so
it is multiplied twice per token (forward, and probabilities times weights) and never again in the backward pass; only
`[N, hidden]` is kept. Of one that is trained a chunk's logits are made again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
import torch.utils.checkpoint

CHUNK_LOGITS: Final = 1 << 26
"""Logits in memory at a time: 256 MB in float32."""


class _FrozenHead(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
    """A function of hidden states and a weight that gets no gradient; `forward` saves its own gradient."""

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Gradient of the hidden states."""
        (gradient,) = ctx.saved_tensors
        return gradient * outputs[0][:, None].to(gradient.dtype), None, None


class FrozenHeadLoss(_FrozenHead):
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


class FrozenHeadDivergence(_FrozenHead):
    """`kl[i] = KL(softmax(base[i] @ weight.T) || softmax(hidden[i] @ weight.T))`.

    Its gradient with respect to the second's logits is the difference of the two distributions.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, base: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Divergences in float32 `[N]` of hidden states `[N, H]`, the base's `[N, H]`, weight `[V, H]`."""
        divergences = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden)
        rows = max(1, CHUNK_LOGITS // len(weight) // 4)
        for start in range(0, len(hidden), rows):
            piece = slice(start, start + rows)
            ours, bases = ((each[piece] @ weight.T).float() for each in (hidden, base))
            divergences[piece] = logit_divergences(ours, bases)
            gradient[piece] = (ours.softmax(1) - bases.softmax(1)).to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        return divergences


class FrozenHeadSoft(_FrozenHead):
    """`soft_divergences` of hidden states and a weight that gets no gradient."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """Divergences in float32 `[N]` of hidden states `[N, H]`, weight `[V, H]`, soft targets `[N, k]` twice."""
        divergences = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden)
        rows = max(1, CHUNK_LOGITS // len(weight) // 2)
        for start in range(0, len(hidden), rows):
            piece = slice(start, start + rows)
            logits = hidden[piece] @ weight.T
            divergences[piece] = soft_divergences_(logits, targets[0][piece], targets[1][piece], 1.0)
            gradient[piece] = logits @ weight
        ctx.save_for_backward(gradient)
        return divergences


def soft_losses(hidden: torch.Tensor, weight: torch.Tensor, ids: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
    """KL(base ‖ ours) in nats, float32 `[N]`, of tokens with soft targets; differentiable.

    Args:
        hidden: last hidden states `[N, H]`.
        weight: of the output layer, `[V, H]`.
        ids: the base's likeliest tokens, int64 `[N, k]`.
        logprobs: theirs under the base, float32 `[N, k]`.
    """
    losses: torch.Tensor
    if weight.requires_grad:
        both = torch.cat([ids.to(torch.float64), logprobs.to(torch.float64)], dim=1)
        top = ids.shape[1]
        losses = _by_chunks(
            lambda logits, part: soft_divergences(logits, part[:, :top].long(), part[:, top:].float()),
            weight,
            hidden,
            both,
        )
    else:
        losses = FrozenHeadSoft.apply(hidden.to(weight.dtype), weight, (ids, logprobs))
    return losses


def soft_divergences(logits: torch.Tensor, ids: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
    """KL(base ‖ ours) in nats `[N]` over the base's k likeliest tokens and the rest, of logits `[N, V]`.

    Merging outcomes can only make a divergence smaller (the log-sum inequality), by what the two differ within the
    rest.
    """
    wide = logits.float()
    normaliser = torch.logsumexp(wide, dim=1)
    ours = wide.gather(1, ids) - normaliser[:, None]
    rest = torch.logsumexp(wide.scatter(1, ids, -torch.inf), dim=1) - normaliser
    base = logprobs.exp()
    base_rest = (1 - base.sum(1)).clamp(min=0)
    known = torch.where(base > 0, base * (logprobs - ours), 0.0).sum(1)
    return known + torch.xlogy(base_rest, base_rest) - base_rest * rest


def soft_divergences_(logits: torch.Tensor, ids: torch.Tensor, logprobs: torch.Tensor, factor: float) -> torch.Tensor:
    """The same; logits `[N, V]` become the gradients times `factor`.

    With q ours and p the base's, the gradient is q - p at the base's likeliest tokens and, at others, q less the rest's
    probability under the base shared out as we share it: q - p_rest q / q_rest.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logprobs = logprobs.to(wide.dtype)
    normaliser = torch.logsumexp(wide, dim=1)
    rest = torch.logsumexp(wide.scatter(1, ids, -torch.inf), dim=1)
    base = logprobs.exp()
    base_rest = (1 - base.sum(1)).clamp(min=0)
    ours = wide.gather(1, ids) - normaliser[:, None]
    losses = torch.where(base > 0, base * (logprobs - ours), 0.0).sum(1)
    losses += torch.xlogy(base_rest, base_rest) - base_rest * (rest - normaliser)
    gradient = torch.exp(wide - normaliser[:, None]) - base_rest[:, None] * torch.exp(wide - rest[:, None])
    gradient.scatter_(1, ids, ours.exp() - base)
    logits.copy_(gradient.mul_(factor))
    return losses


def target_losses(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss in nats of each target token, float32 `[N]`; differentiable in `hidden`, and in a trained `weight`.

    The products run in a frozen weight's precision: accelerate hands hidden states of 16 bits on as 32 bits.
    """
    losses: torch.Tensor
    if weight.requires_grad:
        losses = _by_chunks(_cross_entropies, weight, hidden, targets)
    else:
        losses = FrozenHeadLoss.apply(hidden.to(weight.dtype), weight, targets)
    return losses


def divergences(
    hidden: torch.Tensor, weight: torch.Tensor, base: torch.Tensor, base_weight: torch.Tensor
) -> torch.Tensor:
    """KL from the base in nats of each token, float32 `[N]`; differentiable as `target_losses`.

    Args:
        hidden: last hidden states `[N, H]`.
        weight: of the output layer, `[V, H]`.
        base: last hidden states of the base.
        base_weight: of its output layer: `weight` itself unless that is trained.
    """
    losses: torch.Tensor
    if weight.requires_grad:
        base = base.to(base_weight.dtype)
        losses = _by_chunks(
            lambda logits, other: logit_divergences(logits, (other @ base_weight.T).float()), weight, hidden, base
        )
    else:
        losses = FrozenHeadDivergence.apply(hidden.to(weight.dtype), base.to(weight.dtype), weight)
    return losses


def logit_divergences(logits: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """KL(base || ours) in nats, `[N]`, of logits `[N, V]`."""
    kl = torch.nn.functional.kl_div(logits.log_softmax(1), base.log_softmax(1), reduction="none", log_target=True)
    return kl.sum(1)


def _cross_entropies(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def _by_chunks(
    measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    weight: torch.Tensor,
    hidden: torch.Tensor,
    others: torch.Tensor,
) -> torch.Tensor:
    """`measure(logits, others)` of all tokens; a chunk's logits live while it is measured, and again in the backward
    pass.
    """

    def measured(part: torch.Tensor, other: torch.Tensor, trained: torch.Tensor) -> torch.Tensor:
        return measure((part @ trained.to(part.dtype).T).float(), other)

    rows = max(1, CHUNK_LOGITS // len(weight) // 4)
    chunks = [
        torch.utils.checkpoint.checkpoint(measured, part, other, weight, use_reentrant=False)
        for part, other in zip(hidden.split(rows), others.split(rows), strict=True)
    ]
    return torch.cat(chunks)
