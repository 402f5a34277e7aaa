# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
"""Rotary positions, forward and backward."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from tasks.training.backends.fast.kernels.quantising import FP8_MAX, TINY


@triton.jit
def _rotate(x, stride, cos, sin, row, heads, HALF: tl.constexpr, HEADS: tl.constexpr, INVERSE: tl.constexpr):
    """One token's heads turned by its position; returns both halves, their offsets and their mask."""
    head = tl.arange(0, HEADS)[:, None]
    col = tl.arange(0, HALF)[None, :]
    offsets = row * stride + head * (2 * HALF) + col
    mask = (head < heads) & (col < HALF)
    first = tl.load(x + offsets, mask, 0.0).to(tl.float32)
    second = tl.load(x + offsets + HALF, mask, 0.0).to(tl.float32)
    c = tl.load(cos + row * HALF + col)
    s = tl.load(sin + row * HALF + col)
    if INVERSE:
        s = -s
    return first * c - second * s, second * c + first * s, head * (2 * HALF) + col, mask


@triton.jit
def _rope(
    q, k, q_stride, k_stride, cos, sin, q_heads, kv_heads,
    HALF: tl.constexpr, Q: tl.constexpr, KV: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    first, second, at, mask = _rotate(q, q_stride, cos, sin, row, q_heads, HALF, Q, False)
    tl.store(q + row * q_stride + at, first.to(q.dtype.element_ty), mask)
    tl.store(q + row * q_stride + at + HALF, second.to(q.dtype.element_ty), mask)
    first, second, at, mask = _rotate(k, k_stride, cos, sin, row, kv_heads, HALF, KV, False)
    tl.store(k + row * k_stride + at, first.to(k.dtype.element_ty), mask)
    tl.store(k + row * k_stride + at + HALF, second.to(k.dtype.element_ty), mask)


@triton.jit
def _rope_backward(
    dq, dk, dv, cos, sin, q_heads, kv_heads, out, buffer, scales, total, width,
    QUANT: tl.constexpr, HALF: tl.constexpr, Q: tl.constexpr, KV: tl.constexpr,
):  # fmt: skip
    """Turns dq and dk back; dq, dk, dv stand side by side in `out` `[T, total]`, quantised at one scale."""
    row = tl.program_id(0).to(tl.int64)
    kind = out.dtype.element_ty
    k_at = q_heads * 2 * HALF
    v_at = k_at + kv_heads * 2 * HALF
    q1, q2, at_q, mask_q = _rotate(dq, k_at, cos, sin, row, q_heads, HALF, Q, True)
    k1, k2, at_k, mask_k = _rotate(dk, v_at - k_at, cos, sin, row, kv_heads, HALF, KV, True)
    v1 = tl.load(dv + row * (v_at - k_at) + at_k, mask_k, 0.0).to(tl.float32)
    v2 = tl.load(dv + row * (v_at - k_at) + at_k + HALF, mask_k, 0.0).to(tl.float32)
    base = out + row * total
    tl.store(base + at_q, q1.to(kind), mask_q)
    tl.store(base + at_q + HALF, q2.to(kind), mask_q)
    tl.store(base + k_at + at_k, k1.to(kind), mask_k)
    tl.store(base + k_at + at_k + HALF, k2.to(kind), mask_k)
    tl.store(base + v_at + at_k, v1.to(kind), mask_k)
    tl.store(base + v_at + at_k + HALF, v2.to(kind), mask_k)
    if QUANT:
        largest = tl.maximum(tl.max(tl.abs(q1)), tl.max(tl.abs(q2)))
        largest = tl.maximum(largest, tl.maximum(tl.max(tl.abs(k1)), tl.max(tl.abs(k2))))
        largest = tl.maximum(largest, tl.maximum(tl.max(tl.abs(v1)), tl.max(tl.abs(v2))))
        scale = tl.maximum(largest, TINY) / FP8_MAX
        tl.store(scales + row, scale)
        base8 = buffer + row * width
        small = buffer.dtype.element_ty
        tl.store(base8 + at_q, tl.clamp(q1 / scale, -FP8_MAX, FP8_MAX).to(small), mask_q)
        tl.store(base8 + at_q + HALF, tl.clamp(q2 / scale, -FP8_MAX, FP8_MAX).to(small), mask_q)
        tl.store(base8 + k_at + at_k, tl.clamp(k1 / scale, -FP8_MAX, FP8_MAX).to(small), mask_k)
        tl.store(base8 + k_at + at_k + HALF, tl.clamp(k2 / scale, -FP8_MAX, FP8_MAX).to(small), mask_k)
        tl.store(base8 + v_at + at_k, tl.clamp(v1 / scale, -FP8_MAX, FP8_MAX).to(small), mask_k)
        tl.store(base8 + v_at + at_k + HALF, tl.clamp(v2 / scale, -FP8_MAX, FP8_MAX).to(small), mask_k)


def rope(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, head: int) -> None:
    """Turns q `[T, heads * head]` and k in place; cos and sin are float32 `[T, head / 2]`."""
    heads, kv_heads = q.shape[1] // head, k.shape[1] // head
    _rope[(len(q),)](
        q, k, q.stride(0), k.stride(0), cos, sin, heads, kv_heads, head // 2, triton.next_power_of_2(heads),
        triton.next_power_of_2(kv_heads), num_warps=4,
    )  # fmt: skip


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
    """`[T, (heads + 2 kv_heads) * head]`: dq and dk turned back, and dv; also quantised if there is a buffer."""
    heads, kv_heads = dq.shape[1] // head, dk.shape[1] // head
    dq, dk, dv = dq.contiguous(), dk.contiguous(), dv.contiguous()
    out = torch.empty((len(dq), dq.shape[1] + 2 * dk.shape[1]), dtype=dq.dtype, device=dq.device)
    _rope_backward[(len(dq),)](
        dq, dk, dv, cos, sin, heads, kv_heads, out, dq if buffer is None else buffer,
        cos if scales is None else scales, out.shape[1], 0 if buffer is None else buffer.stride(1), buffer is not None,
        head // 2, triton.next_power_of_2(heads), triton.next_power_of_2(kv_heads), num_warps=4,
    )  # fmt: skip
    return out
