"""The operations of `kernels/` in plain torch, without quantising: for CPUs, and what the kernels are tested
against.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def norm(
    h: torch.Tensor, delta: torch.Tensor | None, weight: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`(h + delta, RMS norm of that, 1 / its root mean square)`; rows `[T, K]`."""
    total = h if delta is None else h + delta
    wide = total.float()
    rstd = torch.rsqrt(wide.pow(2).mean(1) + eps)
    return total, (wide * rstd[:, None]).to(h.dtype) * weight, rstd


def norm_backward(
    dx: torch.Tensor, h: torch.Tensor, weight: torch.Tensor, rstd: torch.Tensor, residual: torch.Tensor
) -> torch.Tensor:
    """Gradient of `h`: through the norm, plus what the residual path brings."""
    normed = h.float() * rstd[:, None]
    scaled = dx.float() * weight.float()
    gradient = rstd[:, None] * (scaled - normed * (scaled * normed).mean(1, keepdim=True))
    return (gradient + residual.float()).to(h.dtype)


def swiglu(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up."""
    return functional.silu(gate) * up


def swiglu_backward(gate: torch.Tensor, up: torch.Tensor, dact: torch.Tensor) -> torch.Tensor:
    """Overwrites gate and up by their gradients; returns silu(gate) * up."""
    sigmoid = torch.sigmoid(gate.float()).to(gate.dtype)
    silu = gate * sigmoid
    act = silu * up
    gate.copy_(dact * up * (sigmoid + silu * (1 - sigmoid)))
    up.copy_(dact * silu)
    return act


def rope(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, head: int) -> None:
    """Turns q `[T, heads * head]` and k in place; cos and sin are float32 `[T, head / 2]`."""
    for x in (q, k):
        x.copy_(_turned(x, cos, sin, head))


def rope_backward(
    dq: torch.Tensor, dk: torch.Tensor, dv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, head: int
) -> torch.Tensor:
    """`[T, (heads + 2 kv_heads) * head]`: dq and dk turned back, and dv."""
    return torch.cat([_turned(dq, cos, -sin, head), _turned(dk, cos, -sin, head), dv], dim=1)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, factor: float) -> torch.Tensor:
    """Losses `[N]` in float32; logits `[N, V]` become their gradients times `factor`."""
    wide = logits.float()
    aims = targets[:, None]
    normaliser = torch.logsumexp(wide, dim=1)
    losses = normaliser - wide.gather(1, aims)[:, 0]
    probabilities = torch.exp_(wide.sub_(normaliser[:, None]))
    probabilities.scatter_add_(1, aims, torch.full_like(aims, -1, dtype=torch.float32))
    logits.copy_(probabilities.mul_(factor))
    return losses


def adamw(
    p: torch.Tensor,
    m: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    c: torch.Tensor,
    norm: torch.Tensor,
    *,
    max_norm: float,
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
    correction1: float,
    correction2: float,
) -> None:
    """One AdamW step over flat vectors; gradients clipped to max_norm; `c` is the copy in compute precision."""
    gradient = g.float() * torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    m.copy_(m.float() * beta1 + gradient * (1 - beta1))
    v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    p.mul_(1 - rate * decay)
    p.addcdiv_(m.float() / correction1, (v / correction2).sqrt_().add_(eps), value=-rate)
    c.copy_(p)


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, head: int) -> torch.Tensor:
    heads = x.reshape(len(x), -1, head).float()
    first, second = heads[..., : head // 2], heads[..., head // 2 :]
    c, s = cos[:, None], sin[:, None]
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1).reshape(x.shape).to(x.dtype)
