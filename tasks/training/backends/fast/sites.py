"""A site: the projections of one input, base and adapter together, in the base's precision.

`y = x W^T + b + s (x A^T) B^T` for a frozen `W`. The backward pass gives the gradient of the input and adds the
adapter's. `fp8.py` has the same with quantised products.
"""

from __future__ import annotations

from typing import Any

import torch

from tasks.training.backends.fast import formulas
from tasks.training.backends.fast.adapters import SiteAdapter

Room = tuple[torch.Tensor, torch.Tensor]
"""A buffer of 8 bits, `[copies, T, width]`, and its row scales, `[T, 1]`; see `fp8.py`."""
NOWHERE = (None, None)


def operations(tensor: torch.Tensor) -> Any:
    """`kernels` on a GPU, else `formulas`: the same functions."""
    if tensor.is_cuda:
        from tasks.training.backends.fast import kernels

        return kernels
    return formulas


class Site:
    """Unquantised products.

    What it hands from an operation to the product that follows is the matrix itself; of a site that quantises it is a
    buffer with its scales.
    """

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
        room = self._room(len(h))
        total, x, rstd = operations(h).norm(h, delta, weight, eps, *(room or NOWHERE))
        return total, x, rstd, room or x

    def prepare(self, x: torch.Tensor) -> Any:
        """What `forward` takes, of a matrix."""
        return self._quantised(x, self._room(len(x)))

    def glu(self, gate: torch.Tensor, up: torch.Tensor, gelu: bool) -> Any:
        """What `forward` takes, of silu(gate) * up or gelu(gate) * up."""
        room = self._room(len(gate))
        made = operations(gate).glu(gate, up, gelu, *(room or NOWHERE))
        return room or made

    def forward(self, x: Any) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Outputs `[T, out]` of each projection, and the inner values `[T, projections * rank]`."""
        inner = x @ self.adapter.a.T
        together = x @ self.weight.T
        outputs = list(together.split(self.widths, dim=1))
        for projection, (output, bias) in enumerate(zip(outputs, self.biases, strict=True)):
            output.addmm_(self._part(inner, projection), self.adapter.b[projection], alpha=self.scale)
            if bias is not None:
                output.add_(bias)
        return outputs, inner

    def d_norm(
        self,
        dx: torch.Tensor,
        h: torch.Tensor,
        weight: torch.Tensor,
        rstd: torch.Tensor,
        residual: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Any]:
        """Gradient of `h` through the norm before, and what `d_input` takes of it."""
        room = self._gradient_room(len(h))
        dh = operations(h).norm_backward(dx, h, weight, rstd, residual, *(room or NOWHERE))
        return dh, room or dh

    def d_glu(self, gate: torch.Tensor, up: torch.Tensor, dact: torch.Tensor, gelu: bool) -> tuple[Any, Any]:
        """`(what glu makes, what d_input takes)`; gate, up become their gradients. Of a thin site only the second."""
        room = self._gradient_room(len(gate))
        if self.thin and room:
            operations(gate).glu_backward_quantised(gate, up, dact, gelu, *room)
            return None, room
        act = operations(gate).glu_backward(gate, up, dact, gelu, *(room or NOWHERE))
        return act, room or _together(gate, up)

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
        room = self._gradient_room(len(dq))
        together = operations(dq).rope_backward(dq, dk, dv, cos, sin, head, *(room or NOWHERE))
        return list(together.split(self.widths, dim=1)), room or together

    def d_outputs(self, together: torch.Tensor) -> tuple[list[torch.Tensor], Any]:
        """Gradients of the outputs, which stand side by side, and what `d_input` takes of them."""
        return list(together.split(self.widths, dim=1)), self._quantised(together, self._gradient_room(len(together)))

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
        for projection, (grad, part) in enumerate(zip(self.adapter.grad_b, dys, strict=True)):
            add_product(grad, self._part(inner, projection).T, part, self.scale)

    def _room(self, tokens: int) -> Room | None:
        """Where an input goes in 8 bits; null = nowhere."""
        return None

    def _gradient_room(self, tokens: int) -> Room | None:
        """Where a gradient of the outputs goes in 8 bits; null = nowhere."""
        return None

    def _quantised(self, x: torch.Tensor, room: Room | None) -> Any:
        if room:
            operations(x).quantise(x, *room)
        return room or x

    def _part(self, inner: torch.Tensor, projection: int) -> torch.Tensor:
        return inner[:, projection * self.rank : (projection + 1) * self.rank]


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
