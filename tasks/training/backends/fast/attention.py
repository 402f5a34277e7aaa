"""Causal attention over documents that lie side by side in one row, with its own backward pass.

One document in a row: cuDNN's kernel, the fastest on Hopper. Several: a kernel that takes the documents' bounds, so
that short documents cost little; it also does sliding windows and large heads. On a CPU: torch's own attention per
document.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

CUDNN_HEAD = 128
"""Beyond this size of a head cuDNN has no backward pass on all cards."""


@dataclass(frozen=True)
class Documents:
    """Where the documents of a row lie."""

    bounds: list[int]
    """Token numbers at which a document begins, and the row's length last."""
    cumulative: torch.Tensor
    """`bounds` as int32 on the device."""
    longest: int
    single: bool
    """Whether one document fills the row up to padding, which may see it since nobody looks at padding."""

    @classmethod
    def of(cls, position_ids: torch.Tensor, device: torch.device, padding: int = 0) -> Documents:
        """Documents begin where positions are 0; the last `padding` positions belong to no document.

        `position_ids` is int64 `[T]` on the CPU.
        """
        starts = (position_ids == 0).nonzero()[:, 0].tolist()
        bounds = [*starts, len(position_ids)]
        longest = max(end - start for start, end in pairwise(bounds))
        cumulative = torch.tensor(bounds, dtype=torch.int32).to(device, non_blocking=True)
        return cls(bounds, cumulative, longest, len(starts) - (padding > 0) == 1)


class Attention:
    """Forward and backward for query heads and as many key heads, or fewer."""

    def __init__(self, head: int, scale: float | None = None, kernel: str = "auto") -> None:
        """Prepares for heads of one size.

        Args:
            head: size of a head.
            scale: factor of the scores; null = 1 / sqrt(head).
            kernel: `auto`, or `cudnn`, `flash` or `math` to pin one (for measurements).
        """
        self.head, self.kernel = head, kernel
        self.scale = 1 / math.sqrt(head) if scale is None else scale

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, documents: Documents, window: int | None = None
    ) -> tuple[torch.Tensor, Any]:
        """`[T, heads * head]`, and what `backward` needs besides.

        Args:
            q: `[T, heads * head]`.
            k: `[T, kv_heads * head]`.
            v: as `k`.
            documents: where documents begin; none sees another.
            window: how many tokens a token sees, itself the last of them; null = all before it.
        """
        if window is not None and window >= documents.longest:
            window = None
        if not q.is_cuda or self.kernel == "math":
            return self._plain(q, k, v, documents, window)
        varied = not documents.single or window is not None or self.head > CUDNN_HEAD
        if self.kernel == "flash" or (self.kernel == "auto" and varied):
            return self._flash(q, k, v, documents, window)
        return self._cudnn(q, k, v)

    def backward(
        self, dout: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor, state: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gradients of q, k and v in their shapes."""
        kind, *rest = state
        if kind == "flash":
            lse, seed, unused, documents, left = rest
            dq, dk, dv = torch.ops.aten._flash_attention_backward(
                self._split(dout), self._split(q), self._split(k), self._split(v), self._split(out), lse,
                documents.cumulative, documents.cumulative, documents.longest, documents.longest, 0.0, True, seed,
                unused, scale=self.scale, window_size_left=left, window_size_right=None if left is None else 0,
            )  # fmt: skip
            return dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape)
        if kind == "cudnn":
            return self._cudnn_backward(dout, q, k, v, out, rest)
        leaves, result = rest
        dq, dk, dv = torch.autograd.grad(result, leaves, dout)
        return dq, dk, dv

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """`[T, heads, head]`."""
        return x.view(len(x), -1, self.head)

    def _batched(self, x: torch.Tensor) -> torch.Tensor:
        """`[1, heads, T, head]` without moving anything."""
        return self._split(x).transpose(0, 1)[None]

    def _plain(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, documents: Documents, window: int | None
    ) -> tuple[torch.Tensor, Any]:
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in (q, k, v)]
            pieces = []
            for start, end in pairwise(documents.bounds):
                query, key, value = (self._batched(leaf[start:end]) for leaf in leaves)
                seen = None if window is None else _window(end - start, window, q.device)
                attended = functional.scaled_dot_product_attention(
                    query, key, value, seen, is_causal=seen is None, scale=self.scale, enable_gqa=True
                )
                pieces.append(attended[0].transpose(0, 1).reshape(end - start, -1))
            result = torch.cat(pieces)
        return result.detach(), ("plain", leaves, result)

    def _flash(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, documents: Documents, window: int | None
    ) -> tuple[torch.Tensor, Any]:
        left = None if window is None else window - 1
        out, lse, seed, unused, _ = torch.ops.aten._flash_attention_forward(
            self._split(q), self._split(k), self._split(v), documents.cumulative, documents.cumulative,
            documents.longest, documents.longest, 0.0, True, False, scale=self.scale, window_size_left=left,
            window_size_right=None if left is None else 0,
        )  # fmt: skip
        return out.view(q.shape), ("flash", lse, seed, unused, documents, left)

    def _cudnn(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, Any]:
        out, lse, cq, ck, mq, mk, seed, offset, _ = torch.ops.aten._scaled_dot_product_cudnn_attention(
            self._batched(q), self._batched(k), self._batched(v), None, True, 0.0, True, False, scale=self.scale
        )
        return out[0].transpose(0, 1).reshape(q.shape), ("cudnn", lse, cq, ck, mq, mk, seed, offset)

    def _cudnn_backward(
        self, dout: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor, rest: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        lse, cq, ck, mq, mk, seed, offset = rest
        grads = torch.ops.aten._scaled_dot_product_cudnn_attention_backward(
            self._batched(dout), self._batched(q), self._batched(k), self._batched(v), self._batched(out), lse, seed,
            offset, None, cq, ck, mq, mk, 0.0, True, scale=self.scale,
        )  # fmt: skip
        dq, dk, dv = (grad[0].transpose(0, 1).reshape(len(q), -1) for grad in grads)
        return dq, dk, dv


def _window(tokens: int, window: int, device: torch.device) -> torch.Tensor:
    """`[tokens, tokens]`: whether a token (row) sees another (column)."""
    places = torch.arange(tokens, device=device)
    distance = places[:, None] - places
    return (distance >= 0) & (distance < window)
