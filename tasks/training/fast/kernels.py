# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
"""Triton kernels around the products: each reads its input once and leaves it quantised for the product that follows.

A quantised matrix is float8_e4m3 with one float32 scale a row. Its buffer is wider than the matrix: the columns
behind it hold the adapter's inner values at the same row scale, so that one product computes base and adapter (see
`fp8.py`). `copies` buffers `[C, T, width]` get the same matrix when the adapters of one input are too wide to share
a buffer.

Only imported on a GPU (or under Triton's interpreter, in tests). Shapes: T tokens, K columns, all row-major.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

FP8_MAX = tl.constexpr(448.0)
"""Largest float8_e4m3."""
TINY = tl.constexpr(1e-12)


@triton.jit
def _store_quantised(values, mask, cols, row, buffer, width, copy_stride, scales, COPIES: tl.constexpr):
    """One row: its scale, and its values at that scale in every copy."""
    scale = tl.maximum(tl.max(tl.where(mask, tl.abs(values), 0.0)), TINY) / FP8_MAX
    tl.store(scales + row, scale)
    quantised = tl.clamp(values / scale, -FP8_MAX, FP8_MAX).to(buffer.dtype.element_ty)
    for copy in tl.static_range(COPIES):
        tl.store(buffer + copy * copy_stride + row * width + cols, quantised, mask)


@triton.jit
def _quantise(x, buffer, scales, K, width, copy_stride, COPIES: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < K
    values = tl.load(x + row * K + cols, mask, 0.0).to(tl.float32)
    _store_quantised(values, mask, cols, row, buffer, width, copy_stride, scales, COPIES)


@triton.jit
def _norm(
    h, delta, weight, h_out, x_out, rstd_out, buffer, scales, eps, K, width, copy_stride,
    DELTA: tl.constexpr, COPIES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """h_out = h + delta; x = RMS norm of it; x also quantised when COPIES > 0."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < K
    value = tl.load(h + row * K + cols, mask, 0.0).to(tl.float32)
    if DELTA:
        value += tl.load(delta + row * K + cols, mask, 0.0).to(tl.float32)
        rounded = value.to(h_out.dtype.element_ty)
        tl.store(h_out + row * K + cols, rounded, mask)
        value = rounded.to(tl.float32)
    rstd = tl.rsqrt(tl.sum(value * value) / K + eps)
    tl.store(rstd_out + row, rstd)
    normed = (value * rstd * tl.load(weight + cols, mask, 0.0).to(tl.float32)).to(x_out.dtype.element_ty)
    tl.store(x_out + row * K + cols, normed, mask)
    if COPIES > 0:
        _store_quantised(normed.to(tl.float32), mask, cols, row, buffer, width, copy_stride, scales, COPIES)


@triton.jit
def _norm_backward(
    dx, h, weight, rstd_in, residual, dh, buffer, scales, K, width, QUANT: tl.constexpr, BLOCK: tl.constexpr
):
    """The residual plus the gradient through the norm is dh, which is quantised as well."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < K
    rstd = tl.load(rstd_in + row)
    normed = tl.load(h + row * K + cols, mask, 0.0).to(tl.float32) * rstd
    scaled = tl.load(dx + row * K + cols, mask, 0.0).to(tl.float32) * tl.load(weight + cols, mask, 0.0).to(tl.float32)
    gradient = rstd * (scaled - normed * (tl.sum(scaled * normed) / K))
    gradient += tl.load(residual + row * K + cols, mask, 0.0).to(tl.float32)
    rounded = gradient.to(dh.dtype.element_ty)
    tl.store(dh + row * K + cols, rounded, mask)
    if QUANT:
        _store_quantised(rounded.to(tl.float32), mask, cols, row, buffer, width, 0, scales, 1)


@triton.jit
def _swiglu(gate, up, stride, out, buffer, scales, K, width, QUANT: tl.constexpr, BLOCK: tl.constexpr):
    """silu(gate) * up, kept in bf16 (QUANT 0) or quantised only (QUANT 1)."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < K
    g = tl.load(gate + row * stride + cols, mask, 0.0).to(tl.float32)
    u = tl.load(up + row * stride + cols, mask, 0.0).to(tl.float32)
    value = g * tl.sigmoid(g) * u
    if QUANT:
        _store_quantised(value, mask, cols, row, buffer, width, 0, scales, 1)
    else:
        tl.store(out + row * K + cols, value.to(out.dtype.element_ty), mask)


@triton.jit
def _swiglu_gradients(gate, up, dact, at, at_dact, mask):
    """(gradient of gate, gradient of up, silu(gate) * up) of a piece, float32."""
    g = tl.load(gate + at, mask, 0.0).to(tl.float32)
    u = tl.load(up + at, mask, 0.0).to(tl.float32)
    d = tl.load(dact + at_dact, mask, 0.0).to(tl.float32)
    sigmoid = tl.sigmoid(g)
    silu = g * sigmoid
    return d * u * (sigmoid + silu * (1 - sigmoid)), d * silu, silu * u


@triton.jit
def _swiglu_backward(
    gate, up, stride, dact, act_out, buffer, scales, K, width, QUANT: tl.constexpr, BLOCK: tl.constexpr
):
    """In place: gate, up := their gradients; act_out := silu(gate) * up. Both gradients side by side quantised."""
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros([BLOCK], tl.float32)
    for start in range(0, K, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        mask = cols < K
        dg, du, act = _swiglu_gradients(gate, up, dact, row * stride + cols, row * K + cols, mask)
        tl.store(act_out + row * K + cols, act.to(act_out.dtype.element_ty), mask)
        tl.store(gate + row * stride + cols, dg.to(gate.dtype.element_ty), mask)
        tl.store(up + row * stride + cols, du.to(up.dtype.element_ty), mask)
        largest = tl.maximum(largest, tl.maximum(tl.abs(dg), tl.abs(du)))
    if QUANT:
        scale = tl.maximum(tl.max(largest), TINY) / FP8_MAX
        tl.store(scales + row, scale)
        tl.debug_barrier()  # what other threads of the block stored above is read back below
        for start in range(0, K, BLOCK):
            cols = start + tl.arange(0, BLOCK)
            mask = cols < K
            dg = tl.load(gate + row * stride + cols, mask, 0.0).to(tl.float32)
            du = tl.load(up + row * stride + cols, mask, 0.0).to(tl.float32)
            kind = buffer.dtype.element_ty
            tl.store(buffer + row * width + cols, tl.clamp(dg / scale, -FP8_MAX, FP8_MAX).to(kind), mask)
            tl.store(buffer + row * width + K + cols, tl.clamp(du / scale, -FP8_MAX, FP8_MAX).to(kind), mask)


@triton.autotune(
    [
        triton.Config({"BLOCK": block}, num_warps=warps)
        for block, warps in ((2048, 8), (4096, 8), (4096, 16), (8192, 16))
    ],
    key=["K"],
)
@triton.jit
def _swiglu_backward_quantised(gate, up, stride, dact, buffer, scales, K, width, BLOCK: tl.constexpr):
    """Gradients of gate and up side by side, quantised and nothing else: computed once for the scale, once more to
    store.
    """
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros([BLOCK], tl.float32)
    for start in range(0, K, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        dg, du, _ = _swiglu_gradients(gate, up, dact, row * stride + cols, row * K + cols, cols < K)
        largest = tl.maximum(largest, tl.maximum(tl.abs(dg), tl.abs(du)))
    scale = tl.maximum(tl.max(largest), TINY) / FP8_MAX
    tl.store(scales + row, scale)
    kind = buffer.dtype.element_ty
    for start in range(0, K, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        mask = cols < K
        dg, du, _ = _swiglu_gradients(gate, up, dact, row * stride + cols, row * K + cols, mask)
        tl.store(buffer + row * width + cols, tl.clamp(dg / scale, -FP8_MAX, FP8_MAX).to(kind), mask)
        tl.store(buffer + row * width + K + cols, tl.clamp(du / scale, -FP8_MAX, FP8_MAX).to(kind), mask)


@triton.autotune(
    [
        triton.Config({"COLS": cols, "ROWS": rows}, num_warps=warps, num_stages=stages)
        for cols, rows, warps, stages in (
            (128, 128, 4, 3), (128, 64, 4, 4), (256, 64, 8, 3), (128, 128, 8, 3), (256, 128, 8, 3), (64, 128, 4, 4),
        )
    ],
    key=["N", "T"],
)  # fmt: skip
@triton.jit
def _thin_gradient(
    left, left_stride, scales, right, right_stride, out, rank, N, T, share,
    R: tl.constexpr, COLS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """`out[split]` `[rank, N]` = (left * scales).T @ right over the split's `share` of T rows; right is quantised."""
    cols = tl.program_id(0) * COLS + tl.arange(0, COLS)
    ranks = tl.arange(0, R)
    split = tl.program_id(1)
    total = tl.zeros([R, COLS], tl.float32)
    for start in range(split * share, tl.minimum((split + 1) * share, T), ROWS):
        rows = (start + tl.arange(0, ROWS)).to(tl.int64)
        inside = rows < T
        inner = tl.load(
            left + rows[:, None] * left_stride + ranks[None, :], inside[:, None] & (ranks[None, :] < rank), 0.0
        ).to(tl.float32)
        inner = (inner * tl.load(scales + rows, inside, 0.0)[:, None]).to(tl.bfloat16)
        values = tl.load(
            right + rows[:, None] * right_stride + cols[None, :], inside[:, None] & (cols[None, :] < N), 0.0
        ).to(tl.bfloat16)
        total += tl.dot(tl.trans(inner), values)
    place = out + (split * rank + ranks[:, None]).to(tl.int64) * N + cols[None, :]
    tl.store(place, total, (ranks[:, None] < rank) & (cols[None, :] < N))


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


@triton.jit
def _tail(u, scales, balance, buffer, at, columns, rank, width, copy_stride, SPLIT: tl.constexpr, BLOCK: tl.constexpr):
    """Inner values `[T, columns]` behind the quantised matrix, at its row scale times the projection's balance."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < columns
    projection = cols // rank
    scale = tl.load(scales + row) * tl.load(balance + projection, mask, 1.0)
    value = tl.clamp(tl.load(u + row * columns + cols, mask, 0.0).to(tl.float32) / scale, -FP8_MAX, FP8_MAX)
    if SPLIT:  # noqa: SIM108 (a constant of the kernel: only one branch is compiled)
        place = projection * copy_stride + row * width + at + cols % rank
    else:
        place = row * width + at + cols
    tl.store(buffer + place, value.to(buffer.dtype.element_ty), mask)


@triton.jit
def _weight_tail(matrix, scales, balance, factor, weight, rank, N, at, width, R: tl.constexpr, BLOCK: tl.constexpr):
    """weight[n, at + j] = matrix[j, n] * factor * balance / scales[n]: the adapter behind a quantised weight's row."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * R + tl.arange(0, R)
    mask = (j[:, None] < rank) & (n[None, :] < N)
    value = tl.load(matrix + j[:, None].to(tl.int64) * N + n[None, :], mask, 0.0).to(tl.float32)
    scale = tl.load(scales + n, n < N, 1.0)
    value = tl.clamp(value * (factor * tl.load(balance)) / scale[None, :], -FP8_MAX, FP8_MAX)
    turned = tl.trans(value.to(weight.dtype.element_ty))
    tl.store(weight + n[:, None] * width + at + j[None, :], turned, (n[:, None] < N) & (j[None, :] < rank))


@triton.jit
def _cross_entropy(logits, targets, losses, factor, V, BLOCK: tl.constexpr):
    """Loss of each row; logits := its gradient times `factor`."""
    row = tl.program_id(0).to(tl.int64)
    base = logits + row * V
    target = tl.load(targets + row)
    aim = tl.load(base + target).to(tl.float32)
    top = tl.full([BLOCK], -1.0e30, tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, V, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        value = tl.load(base + cols, cols < V, -1.0e30).to(tl.float32)
        higher = tl.maximum(top, value)
        total = total * tl.exp(top - higher) + tl.exp(value - higher)
        top = higher
    highest = tl.max(top)
    normaliser = highest + tl.log(tl.sum(total * tl.exp(top - highest)))
    tl.store(losses + row, normaliser - aim)
    tl.debug_barrier()
    for start in range(0, V, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        value = tl.load(base + cols, cols < V, -1.0e30).to(tl.float32)
        gradient = (tl.exp(value - normaliser) - tl.where(cols == target, 1.0, 0.0)) * factor
        tl.store(base + cols, gradient.to(logits.dtype.element_ty), cols < V)


@triton.jit
def _adamw(
    p, m, v, g, c, norm, max_norm, rate, beta1, beta2, eps, decay, correction1, correction2, N, BLOCK: tl.constexpr
):
    """One AdamW step of float32 parameters `p` and their copy `c` in compute precision; gradients are clipped."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < N
    clip = tl.minimum(1.0, max_norm / (tl.load(norm) + 1e-6))
    gradient = tl.load(g + at, mask, 0.0).to(tl.float32) * clip
    first = tl.load(m + at, mask, 0.0).to(tl.float32) * beta1 + gradient * (1 - beta1)
    second = tl.load(v + at, mask, 0.0) * beta2 + gradient * gradient * (1 - beta2)
    value = tl.load(p + at, mask, 0.0) * (1 - rate * decay)
    value -= rate * (first / correction1) / (tl.sqrt(second / correction2) + eps)
    tl.store(m + at, first.to(m.dtype.element_ty), mask)
    tl.store(v + at, second, mask)
    tl.store(p + at, value, mask)
    tl.store(c + at, value.to(c.dtype.element_ty), mask)


def _block(columns: int) -> int:
    return max(16, triton.next_power_of_2(columns))


def _warps(block: int) -> int:
    return 4 if block <= 2048 else 8 if block <= 8192 else 16


def quantise(x: torch.Tensor, buffer: torch.Tensor, scales: torch.Tensor) -> None:
    """Rows of `x` `[T, K]` into `buffer` `[C, T, width]` (columns up to K) and their `scales` `[T, 1]`."""
    rows, columns = x.shape
    block = _block(columns)
    _quantise[(rows,)](
        x, buffer, scales, columns, buffer.stride(1), buffer.stride(0), len(buffer), block, num_warps=_warps(block)
    )


def norm(
    h: torch.Tensor,
    delta: torch.Tensor | None,
    weight: torch.Tensor,
    eps: float,
    buffer: torch.Tensor | None,
    scales: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`(h + delta, RMS norm of that, 1 / its root mean square)`; the norm also quantised if there is a buffer."""
    rows, columns = h.shape
    block = _block(columns)
    total = h if delta is None else torch.empty_like(h)
    x, rstd = torch.empty_like(h), torch.empty(rows, dtype=torch.float32, device=h.device)
    stride, copies = (0, 0) if buffer is None else (buffer.stride(1), len(buffer))
    _norm[(rows,)](
        h, h if delta is None else delta, weight, total, x, rstd, h if buffer is None else buffer,
        rstd if scales is None else scales, eps, columns, stride, 0 if buffer is None else buffer.stride(0),
        delta is not None, copies, block, num_warps=_warps(block),
    )  # fmt: skip
    return total, x, rstd


def norm_backward(
    dx: torch.Tensor,
    h: torch.Tensor,
    weight: torch.Tensor,
    rstd: torch.Tensor,
    residual: torch.Tensor,
    buffer: torch.Tensor | None,
    scales: torch.Tensor | None,
) -> torch.Tensor:
    """Gradient of `h`, also quantised if there is a buffer."""
    rows, columns = h.shape
    block = _block(columns)
    dh = torch.empty_like(h)
    _norm_backward[(rows,)](
        dx, h, weight, rstd, residual, dh, h if buffer is None else buffer, rstd if scales is None else scales,
        columns, 0 if buffer is None else buffer.stride(1), buffer is not None, block, num_warps=_warps(block),
    )  # fmt: skip
    return dh


def swiglu(gate: torch.Tensor, up: torch.Tensor, buffer: torch.Tensor | None, scales: torch.Tensor | None) -> Any:
    """silu(gate) * up as a new tensor, or only quantised (then None)."""
    rows, columns = gate.shape
    block = _block(columns)
    out = torch.empty((rows, columns), dtype=gate.dtype, device=gate.device) if buffer is None else None
    _swiglu[(rows,)](
        gate, up, gate.stride(0), gate if out is None else out, gate if buffer is None else buffer,
        gate if scales is None else scales, columns, 0 if buffer is None else buffer.stride(1),
        buffer is not None, block, num_warps=_warps(block),
    )  # fmt: skip
    return out


def swiglu_backward(
    gate: torch.Tensor,
    up: torch.Tensor,
    dact: torch.Tensor,
    buffer: torch.Tensor | None,
    scales: torch.Tensor | None,
) -> torch.Tensor:
    """Overwrites gate and up by their gradients (quantised side by side too); returns silu(gate) * up, in dact's
    memory.
    """
    rows, columns = gate.shape
    block = min(4096, _block(columns))
    _swiglu_backward[(rows,)](
        gate, up, gate.stride(0), dact, dact, gate if buffer is None else buffer, gate if scales is None else scales,
        columns, 0 if buffer is None else buffer.stride(1), buffer is not None, block,
        num_warps=16 if block > 2048 else 8,
    )  # fmt: skip
    return dact


def swiglu_backward_quantised(
    gate: torch.Tensor, up: torch.Tensor, dact: torch.Tensor, buffer: torch.Tensor, scales: torch.Tensor
) -> None:
    """Gradients of gate and up side by side in `buffer`, and in nothing else."""
    rows, columns = gate.shape
    _swiglu_backward_quantised[(rows,)](gate, up, gate.stride(0), dact, buffer, scales, columns, buffer.stride(1))


def thin_gradient(
    total: torch.Tensor, left: torch.Tensor, scales: torch.Tensor, right: torch.Tensor, factor: float
) -> None:
    """Adds to `total` `[rank, N]`: factor * left.T @ (right * scales), for few ranks and a quantised right side.

    Bound by reading `right`, which is half as large in 8 bits as in bf16.

    Args:
        total: what is added to.
        left: `[T, rank]`, rows may be wider.
        scales: float32 `[T, 1]`.
        right: `[T, N]` in 8 bits, rows may be wider.
        factor: of the product.
    """
    rank, columns = total.shape
    rows = len(left)
    splits = max(
        1, 32768 // columns
    )  # so many programs side by side that a wide matrix needs few and a narrow one several
    share = -(-rows // splits // 128) * 128
    partial = torch.empty((splits, rank, columns), dtype=torch.float32, device=total.device)

    def grid(settings: dict[str, int]) -> tuple[int, int]:
        return triton.cdiv(columns, settings["COLS"]), splits

    _thin_gradient[grid](
        left, left.stride(0), scales, right, right.stride(0), partial, rank, columns, rows, share,
        max(16, triton.next_power_of_2(rank)),
    )  # fmt: skip
    total.add_(partial.sum(0) if splits > 1 else partial[0], alpha=factor)


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
    buffer: torch.Tensor | None,
    scales: torch.Tensor | None,
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


def tail(
    u: torch.Tensor, scales: torch.Tensor, balance: torch.Tensor, buffer: torch.Tensor, at: int, rank: int
) -> None:
    """Puts inner values `[T, projections * rank]` behind the matrix of a buffer, from column `at` on."""
    rows, columns = u.shape
    _tail[(rows,)](
        u, scales, balance, buffer, at, columns, rank, buffer.stride(1), buffer.stride(0), len(buffer) > 1,
        _block(columns), num_warps=4,
    )  # fmt: skip


def weight_tail(
    matrix: torch.Tensor, scales: torch.Tensor, balance: torch.Tensor, factor: float, weight: torch.Tensor, at: int
) -> None:
    """Puts an adapter matrix `[rank, N]` behind the rows of a quantised weight `[N, width]`, from column `at` on."""
    rank, columns = matrix.shape
    grid = (triton.cdiv(columns, 64), triton.cdiv(rank, 64))
    _weight_tail[grid](
        matrix, scales, balance, factor, weight, rank, columns, at, weight.stride(0), 64, 64, num_warps=4
    )


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, factor: float) -> torch.Tensor:
    """Losses `[N]` in float32; logits `[N, V]` become their gradients times `factor`."""
    losses = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
    _cross_entropy[(len(logits),)](logits, targets, losses, factor, logits.shape[1], 4096, num_warps=8)
    return losses


def adamw(
    p: torch.Tensor,
    m: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    c: torch.Tensor,
    norm: torch.Tensor,
    **settings: float,
) -> None:
    """One AdamW step over flat vectors, without waiting for the device: the norm is read there."""
    block = 2048
    _adamw[(triton.cdiv(len(p), block),)](p, m, v, g, c, norm, N=len(p), BLOCK=block, num_warps=8, **settings)
