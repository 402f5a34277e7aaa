# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
"""SwiGLU and GeGLU, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from tasks.training.backends.fast.formulas import GELU_CUBE, GELU_FACTOR
from tasks.training.backends.fast.kernels.quantising import FP8_MAX, TINY, block_size, store_quantised, warps

FACTOR = tl.constexpr(2 * GELU_FACTOR)
CUBE = tl.constexpr(GELU_CUBE)


@triton.jit
def _activated(g, GELU: tl.constexpr):
    """(sigmoid, slope of its argument): both activations are g * sigmoid(z), z = g or twice the argument of gelu's
    tanh.
    """
    if GELU:  # one return for both: what follows a return inside an `if` is compiled too
        sigmoid = tl.sigmoid((g + g * g * g * CUBE) * FACTOR)
        slope = (g * g * 3 * CUBE + 1) * FACTOR
    else:
        sigmoid = tl.sigmoid(g)
        slope = 1.0
    return sigmoid, slope


@triton.jit
def _glu(gate, up, stride, out, buffer, scales, K, width, GELU: tl.constexpr, QUANT: tl.constexpr, BLOCK: tl.constexpr):
    """activation(gate) * up, kept in bf16 (QUANT 0) or quantised only (QUANT 1)."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < K
    g = tl.load(gate + row * stride + cols, mask, 0.0).to(tl.float32)
    u = tl.load(up + row * stride + cols, mask, 0.0).to(tl.float32)
    sigmoid, _ = _activated(g, GELU)
    value = g * sigmoid * u
    if QUANT:
        store_quantised(value, mask, cols, row, buffer, width, 0, scales, 1)
    else:
        tl.store(out + row * K + cols, value.to(out.dtype.element_ty), mask)


@triton.jit
def _glu_gradients(gate, up, dact, at, at_dact, mask, GELU: tl.constexpr):
    """(gradient of gate, gradient of up, activation(gate) * up) of a piece, float32."""
    g = tl.load(gate + at, mask, 0.0).to(tl.float32)
    u = tl.load(up + at, mask, 0.0).to(tl.float32)
    d = tl.load(dact + at_dact, mask, 0.0).to(tl.float32)
    sigmoid, slope = _activated(g, GELU)
    activated = g * sigmoid
    return d * u * (sigmoid + activated * (1 - sigmoid) * slope), d * activated, activated * u


@triton.jit
def _glu_backward(
    gate, up, stride, dact, act_out, buffer, scales, K, width,
    GELU: tl.constexpr, QUANT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """In place: gate, up := their gradients; act_out := activation(gate) * up. Both gradients side by side
    quantised.
    """
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros([BLOCK], tl.float32)
    for start in range(0, K, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        mask = cols < K
        dg, du, act = _glu_gradients(gate, up, dact, row * stride + cols, row * K + cols, mask, GELU)
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
    key=["K", "GELU"],
)
@triton.jit
def _glu_backward_quantised(gate, up, stride, dact, buffer, scales, K, width, GELU: tl.constexpr, BLOCK: tl.constexpr):
    """Gradients of gate and up side by side, quantised and nothing else: computed once for the scale, once more to
    store.
    """
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros([BLOCK], tl.float32)
    for start in range(0, K, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        dg, du, _ = _glu_gradients(gate, up, dact, row * stride + cols, row * K + cols, cols < K, GELU)
        largest = tl.maximum(largest, tl.maximum(tl.abs(dg), tl.abs(du)))
    scale = tl.maximum(tl.max(largest), TINY) / FP8_MAX
    tl.store(scales + row, scale)
    kind = buffer.dtype.element_ty
    for start in range(0, K, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        mask = cols < K
        dg, du, _ = _glu_gradients(gate, up, dact, row * stride + cols, row * K + cols, mask, GELU)
        tl.store(buffer + row * width + cols, tl.clamp(dg / scale, -FP8_MAX, FP8_MAX).to(kind), mask)
        tl.store(buffer + row * width + K + cols, tl.clamp(du / scale, -FP8_MAX, FP8_MAX).to(kind), mask)


def glu(
    gate: torch.Tensor,
    up: torch.Tensor,
    gelu: bool,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> Any:
    """silu(gate) * up, or gelu(gate) * up, as a new tensor, or only quantised (then None)."""
    rows, columns = gate.shape
    block = block_size(columns)
    out = torch.empty((rows, columns), dtype=gate.dtype, device=gate.device) if buffer is None else None
    _glu[(rows,)](
        gate, up, gate.stride(0), gate if out is None else out, gate if buffer is None else buffer,
        gate if scales is None else scales, columns, 0 if buffer is None else buffer.stride(1), gelu,
        buffer is not None, block, num_warps=warps(block),
    )  # fmt: skip
    return out


def glu_backward(
    gate: torch.Tensor,
    up: torch.Tensor,
    dact: torch.Tensor,
    gelu: bool,
    buffer: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
) -> torch.Tensor:
    """Overwrites gate and up by their gradients (quantised side by side too); returns what `glu` does, in dact's
    memory.
    """
    rows, columns = gate.shape
    block = min(4096, block_size(columns))
    _glu_backward[(rows,)](
        gate, up, gate.stride(0), dact, dact, gate if buffer is None else buffer, gate if scales is None else scales,
        columns, 0 if buffer is None else buffer.stride(1), gelu, buffer is not None, block,
        num_warps=16 if block > 2048 else 8,
    )  # fmt: skip
    return dact


def glu_backward_quantised(
    gate: torch.Tensor, up: torch.Tensor, dact: torch.Tensor, gelu: bool, buffer: torch.Tensor, scales: torch.Tensor
) -> None:
    """Gradients of gate and up side by side in `buffer`, and in nothing else."""
    rows, columns = gate.shape
    _glu_backward_quantised[(rows,)](gate, up, gate.stride(0), dact, buffer, scales, columns, buffer.stride(1), gelu)
