"""A site: the projections of one input, base and adapter together, forward and backward, in the base's own precision.

`y = x W^T + b + s (x A^T) B^T` for a frozen `W`. The backward pass gives the gradient of the input and adds the
adapter's. `fp8.py` has the same interface with quantised products.
"""

from __future__ import annotations

from typing import Any

import torch

from tasks.training.backends.fast import formulas
from tasks.training.backends.fast.adapters import SiteAdapter


def _ops(tensor: torch.Tensor) -> Any:
    if tensor.is_cuda:
        from tasks.training.backends.fast import kernels

        return kernels
    return None


class Site:
    """Unquantised products. What it hands from an operation to the product that follows is the matrix itself."""

    def __init__(
        self, weights: list[torch.Tensor], biases: list[torch.Tensor | None], adapter: SiteAdapter, scale: float
    ) -> None:
        """Takes the frozen weights `[out, in]` of the site's projections, in order."""
        self.widths = [len(weight) for weight in weights]
        self.weight = torch.cat(weights) if len(weights) > 1 else weights[0]
        self.biases = biases
        self.take(adapter, scale)

    def take(self, adapter: SiteAdapter, scale: float) -> None:
        """Another adapter, perhaps of another rank, beside the same frozen weights."""
        self.adapter, self.scale = adapter, scale
        self.rank = len(adapter.a) // len(self.widths)

    thin = False
    """Whether the adapter's gradients are made from quantised matrices."""

    def add_norm(self, h: torch.Tensor, delta: torch.Tensor | None, weight: torch.Tensor, eps: float) -> Any:
        """`(h + delta, its norm, rstd, input)`: the residual add, the norm, and what `forward` takes."""
        ops = _ops(h)
        total, x, rstd = ops.norm(h, delta, weight, eps, None, None) if ops else formulas.norm(h, delta, weight, eps)
        return total, x, rstd, x

    def prepare(self, x: torch.Tensor) -> Any:
        """What `forward` takes, of a matrix."""
        return x

    def swiglu(self, gate: torch.Tensor, up: torch.Tensor) -> Any:
        """What `forward` takes, of silu(gate) * up."""
        ops = _ops(gate)
        return ops.swiglu(gate, up, None, None) if ops else formulas.swiglu(gate, up)

    def forward(self, x: Any) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Outputs `[T, out]` of each projection, and the inner values `[T, projections * rank]`."""
        inner = x @ self.adapter.a.T
        together = x @ self.weight.T
        outputs = list(together.split(self.widths, dim=1))
        for place, (output, bias) in enumerate(zip(outputs, self.biases, strict=True)):
            output.addmm_(self._part(inner, place), self.adapter.b[place], alpha=self.scale)
            if bias is not None:
                output.add_(bias)
        return outputs, inner

    def d_norm(
        self, dx: torch.Tensor, h: torch.Tensor, weight: torch.Tensor, rstd: torch.Tensor, residual: torch.Tensor
    ) -> tuple[torch.Tensor, Any]:
        """Gradient of `h` through the norm before, and what `d_input` takes of it."""
        ops = _ops(h)
        if ops:
            dh = ops.norm_backward(dx, h, weight, rstd, residual, None, None)
        else:
            dh = formulas.norm_backward(dx, h, weight, rstd, residual)
        return dh, dh

    def d_swiglu(self, gate: torch.Tensor, up: torch.Tensor, dact: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Overwrites gate and up by their gradients; `(silu(gate) * up, what d_input takes)`."""
        ops = _ops(gate)
        act = ops.swiglu_backward(gate, up, dact, None, None) if ops else formulas.swiglu_backward(gate, up, dact)
        return act, _together(gate, up)

    def d_rope(
        self,
        dq: torch.Tensor,
        dk: torch.Tensor,
        dv: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        head: int,
    ) -> tuple[list[torch.Tensor], Any]:
        """Gradients of q, k, v before their rotation, and what `d_input` takes of them."""
        ops = _ops(dq)
        if ops:
            together = ops.rope_backward(dq, dk, dv, cos, sin, head, None, None)
        else:
            together = formulas.rope_backward(dq, dk, dv, cos, sin, head)
        return list(together.split(self.widths, dim=1)), together

    def d_inner(self, dys: list[torch.Tensor], dy: Any) -> torch.Tensor:
        """Gradient of the inner values, not yet scaled: `dy B`, `[T, projections * rank]`."""
        pieces = [part @ b.T for part, b in zip(dys, self.adapter.b, strict=True)]
        return torch.cat(pieces, dim=1) if len(pieces) > 1 else pieces[0]

    def d_input(self, dy: Any, d_inner: torch.Tensor) -> torch.Tensor:
        """Gradient of the input, `[T, in]`."""
        return (dy @ self.weight).addmm_(d_inner, self.adapter.a, alpha=self.scale)

    def d_adapter(
        self,
        x: torch.Tensor,
        inner: torch.Tensor,
        dys: list[torch.Tensor],
        d_inner: torch.Tensor,
        carrier: Any = None,
        dy: Any = None,
    ) -> None:
        """Adds the adapter's gradients. The last two are of use to sites that quantise."""
        add_product(self.adapter.grad_a, d_inner.T, x, self.scale)
        for place, (grad, part) in enumerate(zip(self.adapter.grad_b, dys, strict=True)):
            add_product(grad, self._part(inner, place).T, part, self.scale)

    def _part(self, inner: torch.Tensor, place: int) -> torch.Tensor:
        return inner[:, place * self.rank : (place + 1) * self.rank]


def add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor, scale: float) -> None:
    """Adds scale * left @ right to `total`, whatever precision that is kept in."""
    if total.dtype == left.dtype:
        total.addmm_(left, right, alpha=scale)
    else:
        total.add_((left @ right).to(total.dtype), alpha=scale)


def _together(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Gate and up as one matrix: they are halves of one already where the site's product made them."""
    if gate._base is not None and gate._base is up._base:
        return gate._base
    return torch.cat([gate, up], dim=1)
