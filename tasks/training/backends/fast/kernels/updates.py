# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
"""Cross-entropy, the gradients of thin adapters, and the optimizer step."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


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
