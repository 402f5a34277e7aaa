# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
"""Kernels that write 8-bit matrices: a matrix, and the adapter's inner values behind it.

A quantised matrix is float8_e4m3 with one float32 scale a row. Its buffer is wider than the matrix: the columns
behind it hold the adapter's inner values at the same row scale, so that one product computes base and adapter (see
`fp8.py`). `copies` buffers `[C, T, width]` get the same matrix when the adapters of one input are too wide to share
a buffer.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

FP8_MAX = tl.constexpr(448.0)
"""Largest float8_e4m3."""
TINY = tl.constexpr(1e-12)


@triton.jit
def store_quantised(values, mask, cols, row, buffer, width, copy_stride, scales, COPIES: tl.constexpr):
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
    store_quantised(values, mask, cols, row, buffer, width, copy_stride, scales, COPIES)


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


def block_size(columns: int) -> int:
    """The power of two that holds a row."""
    return max(16, triton.next_power_of_2(columns))


def warps(block: int) -> int:
    """Warps of a program that works on this many elements."""
    return 4 if block <= 2048 else 8 if block <= 8192 else 16


def quantise(x: torch.Tensor, buffer: torch.Tensor, scales: torch.Tensor) -> None:
    """Rows of `x` `[T, K]` into `buffer` `[C, T, width]` (columns up to K) and their `scales` `[T, 1]`."""
    rows, columns = x.shape
    block = block_size(columns)
    _quantise[(rows,)](
        x, buffer, scales, columns, buffer.stride(1), buffer.stride(0), len(buffer), block, num_warps=warps(block)
    )


def tail(
    u: torch.Tensor, scales: torch.Tensor, balance: torch.Tensor, buffer: torch.Tensor, at: int, rank: int
) -> None:
    """Puts inner values `[T, projections * rank]` behind the matrix of a buffer, from column `at` on."""
    rows, columns = u.shape
    _tail[(rows,)](
        u, scales, balance, buffer, at, columns, rank, buffer.stride(1), buffer.stride(0), len(buffer) > 1,
        block_size(columns), num_warps=4,
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
