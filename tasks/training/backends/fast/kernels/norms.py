# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
"""RMS norm with the residual add before it, forward and backward."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from tasks.training.backends.fast.kernels.quantising import block_size, store_quantised, warps


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
        store_quantised(normed.to(tl.float32), mask, cols, row, buffer, width, copy_stride, scales, COPIES)


@triton.jit
def _norm_backward(
    dx, h, weight, rstd_in, residual, dh, buffer, scales, K, width,
    RESIDUAL: tl.constexpr, QUANT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The residual plus the gradient through the norm is dh, which is quantised as well."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < K
    rstd = tl.load(rstd_in + row)
    normed = tl.load(h + row * K + cols, mask, 0.0).to(tl.float32) * rstd
    scaled = tl.load(dx + row * K + cols, mask, 0.0).to(tl.float32) * tl.load(weight + cols, mask, 0.0).to(tl.float32)
    gradient = rstd * (scaled - normed * (tl.sum(scaled * normed) / K))
    if RESIDUAL:
        gradient += tl.load(residual + row * K + cols, mask, 0.0).to(tl.float32)
    rounded = gradient.to(dh.dtype.element_ty)
    tl.store(dh + row * K + cols, rounded, mask)
    if QUANT:
        store_quantised(rounded.to(tl.float32), mask, cols, row, buffer, width, 0, scales, 1)


def norm(
    h: torch.Tensor,
    delta: torch.Tensor | None,
    weight: torch.Tensor,
    eps: float,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`(h + delta, RMS norm of that, 1 / its root mean square)`; the norm also quantised if there is a buffer."""
    rows, columns = h.shape
    block = block_size(columns)
    total = h if delta is None else torch.empty_like(h)
    x, rstd = torch.empty_like(h), torch.empty(rows, dtype=torch.float32, device=h.device)
    stride, copies = (0, 0) if buffer is None else (buffer.stride(1), len(buffer))
    _norm[(rows,)](
        h, h if delta is None else delta, weight, total, x, rstd, h if buffer is None else buffer,
        rstd if scales is None else scales, eps, columns, stride, 0 if buffer is None else buffer.stride(0),
        delta is not None, copies, block, num_warps=warps(block),
    )  # fmt: skip
    return total, x, rstd


def norm_backward(
    dx: torch.Tensor,
    h: torch.Tensor,
    weight: torch.Tensor,
    rstd: torch.Tensor,
    residual: torch.Tensor | None,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> torch.Tensor:
    """Gradient of `h`, also quantised if there is a buffer."""
    rows, columns = h.shape
    block = block_size(columns)
    dh = torch.empty_like(h)
    _norm_backward[(rows,)](
        dx, h, weight, rstd, h if residual is None else residual, dh, h if buffer is None else buffer,
        rstd if scales is None else scales, columns, 0 if buffer is None else buffer.stride(1), residual is not None,
        buffer is not None, block, num_warps=warps(block),
    )  # fmt: skip
    return dh
