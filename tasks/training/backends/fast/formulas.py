"""The operations of `kernels/` in plain torch: for CPUs, and to test the kernels against.

They take the same arguments.

In 64 bits they stay there, but for norms, which transformers computes in 32 too. Where there is a buffer, what is made
also goes there in 8 bits, its row scales into `scales`.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

GELU_FACTOR, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715
"""gelu(x) is nearly x (1 + tanh(factor (x + cube x^3))) / 2: Hendrycks and Gimpel, 2016."""
E4M3 = torch.float8_e4m3fn
LARGEST = 448.0
"""Largest float8_e4m3."""
TINY = 1e-12


def norm(
    h: torch.Tensor,
    delta: torch.Tensor | None,
    weight: torch.Tensor,
    eps: float,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`(h + delta, RMS norm of that, 1 / its root mean square)`; rows `[T, K]`."""
    total = h if delta is None else h + delta
    wide = total.float()
    rstd = torch.rsqrt(wide.pow(2).mean(1) + eps)
    x = ((wide * rstd[:, None]).to(weight.dtype) * weight).to(h.dtype)
    return total, _kept(x, buffer, scales), rstd


def norm_backward(
    dx: torch.Tensor,
    h: torch.Tensor,
    weight: torch.Tensor,
    rstd: torch.Tensor,
    residual: torch.Tensor | None,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> torch.Tensor:
    """Gradient of `h`: through the norm, plus what the residual path brings where there is one."""
    normed = h.float() * rstd[:, None]
    scaled = dx.float() * weight.float()
    gradient = rstd[:, None] * (scaled - normed * (scaled * normed).mean(1, keepdim=True))
    gradient = (gradient if residual is None else gradient + residual.float()).to(h.dtype)
    return _kept(gradient, buffer, scales)


def glu(
    gate: torch.Tensor,
    up: torch.Tensor,
    gelu: bool,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> torch.Tensor:
    """silu(gate) * up, or gelu(gate) * up in its tanh form."""
    return _kept((functional.gelu(gate, approximate="tanh") if gelu else functional.silu(gate)) * up, buffer, scales)


def glu_backward(
    gate: torch.Tensor,
    up: torch.Tensor,
    dact: torch.Tensor,
    gelu: bool,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> torch.Tensor:
    """Overwrites gate and up by their gradients; returns what `glu` does.

    Both activations are x sigmoid(z): z is x for silu, and for gelu, since 1 + tanh(u) is 2 sigmoid(2 u), twice tanh's
    argument.
    """
    wide = _wide(gate)
    argument = 2 * GELU_FACTOR * (wide + GELU_CUBE * wide**3) if gelu else wide
    slope = 2 * GELU_FACTOR * (1 + 3 * GELU_CUBE * wide**2) if gelu else 1.0
    sigmoid = torch.sigmoid(argument).to(gate.dtype)
    activated = gate * sigmoid
    act = activated * up
    gate.copy_(dact * up * (sigmoid + activated * (1 - sigmoid) * slope))
    up.copy_(dact * activated)
    _kept(torch.cat([gate, up], dim=1), buffer, scales)
    return act


def glu_backward_quantised(
    gate: torch.Tensor, up: torch.Tensor, dact: torch.Tensor, gelu: bool, buffer: torch.Tensor, scales: torch.Tensor
) -> None:
    """Gradients of gate and up side by side in `buffer`, and in nothing else."""
    glu_backward(gate.clone(), up.clone(), dact, gelu, buffer, scales)


def quantise(x: torch.Tensor, buffer: torch.Tensor, scales: torch.Tensor) -> None:
    """Rows of `x` `[T, K]` into `buffer` `[C, T, width]` (columns up to K) and their `scales` `[T, 1]`."""
    scales.copy_(x.float().abs().amax(1, keepdim=True).clamp_(min=TINY) / LARGEST)
    buffer[..., : x.shape[1]] = _eight_bits(x.float() / scales)


def tail(
    u: torch.Tensor, scales: torch.Tensor, balance: torch.Tensor, buffer: torch.Tensor, at: int, rank: int
) -> None:
    """Puts inner values `[T, projections * rank]` behind the matrix of a buffer, from column `at` on."""
    parts = len(u.T) // rank
    values = _eight_bits(u.float() / (scales * balance[:parts].repeat_interleave(rank)))
    for copy, part in zip(buffer, values.split(rank, dim=1) if len(buffer) > 1 else [values], strict=True):
        copy[:, at : at + len(part.T)] = part


def weight_tail(
    matrix: torch.Tensor, scales: torch.Tensor, balance: torch.Tensor, factor: float, weight: torch.Tensor, at: int
) -> None:
    """Puts an adapter matrix `[rank, N]` behind the rows of a quantised weight `[N, width]`, from column `at` on."""
    weight[:, at : at + len(matrix)] = _eight_bits(matrix.T.float() * (factor * balance[0]) / scales)


def thin_gradient(
    total: torch.Tensor, left: torch.Tensor, scales: torch.Tensor, right: torch.Tensor, factor: float
) -> None:
    """Adds to `total` `[rank, N]`: factor * left.T @ (right * scales), for a quantised right side `[T, N]`."""
    total.add_(((left.float() * scales).T @ right.float()).to(total.dtype), alpha=factor)


def rope(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, head: int) -> None:
    """Turns q `[T, heads * head]` and k in place; cos and sin are float32 `[T, head / 2]`."""
    for x in (q, k):
        x.copy_(_turned(x, cos, sin, head))


def rope_backward(
    dq: torch.Tensor,
    dk: torch.Tensor,
    dv: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    head: int,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> torch.Tensor:
    """`[T, (heads + 2 kv_heads) * head]`: dq and dk turned back, and dv."""
    return _kept(torch.cat([_turned(dq, cos, -sin, head), _turned(dk, cos, -sin, head), dv], dim=1), buffer, scales)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, factor: float) -> torch.Tensor:
    """Losses `[N]` in 32 bits at least; logits `[N, V]` become their gradients times `factor`."""
    wide = _wide(logits)
    aims = targets[:, None]
    normaliser = torch.logsumexp(wide, dim=1)
    losses = normaliser - wide.gather(1, aims)[:, 0]
    probabilities = torch.exp_(wide.sub_(normaliser[:, None]))
    probabilities.scatter_add_(1, aims, torch.full_like(aims, -1, dtype=wide.dtype))
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
    heads = _wide(x.reshape(len(x), -1, head))
    first, second = heads[..., : head // 2], heads[..., head // 2 :]
    c, s = cos[:, None], sin[:, None]
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1).reshape(x.shape).to(x.dtype)


def _wide(x: torch.Tensor) -> torch.Tensor:
    """In 32 bits, or 64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _kept(x: torch.Tensor, buffer: torch.Tensor | None, scales: torch.Tensor | None) -> torch.Tensor:
    """The same, put into the buffer too where there is one."""
    if buffer is not None and scales is not None:
        quantise(x, buffer, scales)
    return x


def _eight_bits(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(-LARGEST, LARGEST).to(E4M3)
