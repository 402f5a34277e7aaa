"""Causal attention over documents that lie side by side in one row, with its own backward pass.

One document in a row: cuDNN's kernel, the fastest on Hopper. Several: a kernel that takes the documents' bounds, so
that short documents cost little. On a
CPU: torch's own attention per document.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional


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
        """Documents begin where positions are 0; `position_ids` int64 `[T]` on the CPU, the last `padding` of them
        no document.
        """
        starts = (position_ids == 0).nonzero()[:, 0].tolist()
        bounds = [*starts, len(position_ids)]
        longest = max(end - start for start, end in pairwise(bounds))
        cumulative = torch.tensor(bounds, dtype=torch.int32).to(device, non_blocking=True)
        return cls(bounds, cumulative, longest, len(starts) - (padding > 0) == 1)


class Attention:
    """Forward and backward for `heads` query heads and `kv_heads` key heads of size `head`."""

    def __init__(self, heads: int, kv_heads: int, head: int, kernel: str = "auto") -> None:
        """`kernel`: `auto`, or `cudnn`, `flash` or `math` to pin one (for measurements)."""
        self.heads, self.kv_heads, self.head, self.kernel = heads, kv_heads, head, kernel

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, documents: Documents
    ) -> tuple[torch.Tensor, Any]:
        """`[T, heads * head]`, and what `backward` needs besides. q `[T, heads * head]`, k and v
        `[T, kv_heads * head]`.
        """
        if not q.is_cuda or self.kernel == "math":
            return self._plain(q, k, v, documents)
        if self.kernel == "flash" or (self.kernel == "auto" and not documents.single):
            return self._flash(q, k, v, documents)
        return self._cudnn(q, k, v)

    def backward(
        self, dout: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor, state: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gradients of q, k and v in their shapes."""
        kind, *rest = state
        if kind == "flash":
            lse, seed, unused, documents = rest
            dq, dk, dv = torch.ops.aten._flash_attention_backward(
                self._split(dout), self._split(q), self._split(k), self._split(v), self._split(out), lse,
                documents.cumulative, documents.cumulative, documents.longest, documents.longest, 0.0, True, seed,
                unused,
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
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, documents: Documents
    ) -> tuple[torch.Tensor, Any]:
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in (q, k, v)]
            pieces = []
            for start, end in pairwise(documents.bounds):
                query, key, value = (self._batched(leaf[start:end]) for leaf in leaves)
                made = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
                pieces.append(made[0].transpose(0, 1).reshape(end - start, -1))
            result = torch.cat(pieces)
        return result.detach(), ("plain", leaves, result)

    def _flash(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, documents: Documents
    ) -> tuple[torch.Tensor, Any]:
        out, lse, seed, unused, _ = torch.ops.aten._flash_attention_forward(
            self._split(q), self._split(k), self._split(v), documents.cumulative, documents.cumulative,
            documents.longest, documents.longest, 0.0, True, False,
        )  # fmt: skip
        return out.view(q.shape), ("flash", lse, seed, unused, documents)

    def _cudnn(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, Any]:
        out, lse, cq, ck, mq, mk, seed, offset, _ = torch.ops.aten._scaled_dot_product_cudnn_attention(
            self._batched(q), self._batched(k), self._batched(v), None, True, 0.0, True, False
        )
        return out[0].transpose(0, 1).reshape(q.shape), ("cudnn", lse, cq, ck, mq, mk, seed, offset)

    def _cudnn_backward(
        self, dout: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor, rest: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        lse, cq, ck, mq, mk, seed, offset = rest
        grads = torch.ops.aten._scaled_dot_product_cudnn_attention_backward(
            self._batched(dout), self._batched(q), self._batched(k), self._batched(v), self._batched(out), lse, seed,
            offset, None, cq, ck, mq, mk, 0.0, True,
        )  # fmt: skip
        dq, dk, dv = (grad[0].transpose(0, 1).reshape(len(q), -1) for grad in grads)
        return dq, dk, dv
