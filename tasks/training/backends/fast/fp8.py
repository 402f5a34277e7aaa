"""A site with 8-bit products, forward and backward.

Frozen weights and what meets them are float8_e4m3, with one scale per row.

Base and adapter are one product. A weight's row `W[n, :]` is stored at scale `t[n]`, an input row `x[i, :]` at scale
`r[i]`. Behind them stand `s B[n, :] g / t[n]` and `(x A^T)[i, :] / (r[i] g)`, so that

    r[i] t[n] (x8 W8 + tail8 tail8) = x W^T + s (x A^T) B^T

without another pass over the output. `g` (one per projection, renewed with the adapter) keeps both tails inside the
range of the format. The error of a tail is of the size of the base's own rounding, relative to a much smaller term.
The gradient of the input is made the same way from the transposed weights, with the projections side by side, so the
sum over them is inside the product. Gradients of the adapter itself are bf16 products.
"""

from __future__ import annotations

from typing import Any

import torch

from tasks.training.backends.fast.adapters import SiteAdapter
from tasks.training.backends.fast.formulas import E4M3, LARGEST, TINY
from tasks.training.backends.fast.sites import Room, Site, add_product, operations

THIN = 128
"""Up to this rank the adapter's gradients are bound by reading: they are made from the 8-bit matrices, and what they
would need in bf16 is not written.
"""
SHARED_TAIL = 512
"""Adapters of one input share a buffer up to this many columns; wider ones would multiply too many zeros."""
MAX_STRAIN = 4.0
"""Beyond it the adapter is as strong as the base and no common scale holds both."""
ROOM = 3.5
"""A tail's rms at the row scale is then about 32 of 448 at most, since a row's largest value is at least 4 times its
rms.
"""


class Fp8Site(Site):
    """Quantised products."""

    def __init__(
        self, weights: list[torch.Tensor], biases: list[torch.Tensor | None], adapter: SiteAdapter, scale: float
    ) -> None:
        """Quantises the frozen weights `[out, in]` of the site's projections, both ways round."""
        device = weights[0].device
        self.widths, self.inputs = [len(weight) for weight in weights], weights[0].shape[1]
        self.biases, self.adapter, self.scale = biases, adapter, scale
        self.rank, self.columns = len(adapter.a) // len(weights), len(adapter.a)
        self.shared = len(weights) == 1 or self.columns <= SHARED_TAIL
        groups = [list(range(len(weights)))] if self.shared else [[projection] for projection in range(len(weights))]
        self.tail = self.columns // len(groups)
        self.thin = self.rank <= THIN
        self.forward_weights = []
        for group in groups:
            joined = torch.cat([weights[projection] for projection in group]) if len(group) > 1 else weights[group[0]]
            self.forward_weights.append(_quantised(joined, self.tail))
        transposed = torch.cat(weights).T.contiguous()
        self.backward_weight = _quantised(transposed, self.columns)
        self.a8 = torch.empty((self.columns, self.inputs), dtype=E4M3, device=device)
        self.a_scales = torch.empty((self.columns, 1), device=device)
        self.b8 = [torch.empty((self.rank, width), dtype=E4M3, device=device) for width in self.widths]
        self.b_scales = [torch.empty((self.rank, 1), device=device) for _ in self.widths]
        self.balance = torch.ones(len(weights), device=device)
        self.back_balance = torch.ones(len(weights), device=device)
        self.extended = True
        """Whether base and adapter are one product; else the adapter is added in bf16."""

    def refresh(self) -> None:
        """Quantises the adapter again: its own products' operands and the tails behind the weights."""
        adapter, width, start = self.adapter, sum(self.widths), 0
        ops = operations(adapter.a)
        ops.quantise(adapter.a, self.a8[None], self.a_scales)
        for projection, b in enumerate(adapter.b):
            ops.quantise(b, self.b8[projection][None], self.b_scales[projection])
            weight, scales = self.forward_weights[0 if self.shared else projection]
            first = start if self.shared else 0
            rows = slice(first, first + self.widths[projection])
            column = self.inputs + (projection * self.rank if self.shared else 0)
            ops.weight_tail(b, scales[rows], self.balance[projection:], self.scale, weight[rows], column)
            start += self.widths[projection]
            back, back_scales = self.backward_weight
            part = self.adapter.a[projection * self.rank : (projection + 1) * self.rank]
            column = width + projection * self.rank
            ops.weight_tail(part, back_scales, self.back_balance[projection:], self.scale, back, column)

    def forward(self, x: Any) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Outputs `[T, out]` of each projection, and the inner values `[T, projections * rank]`."""
        buffer, scales = x
        inner = _product(buffer[0][:, : self.inputs], scales, self.a8, self.a_scales)
        if self.extended:
            operations(inner).tail(inner, scales, self.balance, buffer, self.inputs, self.rank)
        columns = slice(None if self.extended else self.inputs)
        made = [
            _product(piece[:, columns], scales, weight[:, columns], weight_scales)
            for piece, (weight, weight_scales) in zip(buffer, self.forward_weights, strict=True)
        ]
        outputs = list(made[0].split(self.widths, dim=1)) if self.shared else made
        if not self.extended:
            for projection, (output, b) in enumerate(zip(outputs, self.adapter.b, strict=True)):
                output.addmm_(inner[:, projection * self.rank : (projection + 1) * self.rank], b, alpha=self.scale)
        for output, bias in zip(outputs, self.biases, strict=True):
            if bias is not None:
                output.add_(bias)
        return outputs, inner

    def d_inner(self, dys: list[torch.Tensor], dy: Any) -> torch.Tensor:
        """Gradient of the inner values, not yet scaled: `dy B`, `[T, projections * rank]`; also put behind `dy`."""
        (buffer,), scales = dy
        pieces, start = [], 0
        for width, b8, b_scales in zip(self.widths, self.b8, self.b_scales, strict=True):
            pieces.append(_product(buffer[:, start : start + width], scales, b8, b_scales))
            start += width
        inner = torch.cat(pieces, dim=1) if len(pieces) > 1 else pieces[0]
        if self.extended:
            operations(inner).tail(inner, scales, self.back_balance, dy[0], start, self.rank)
        return inner

    def d_input(self, dy: Any, d_inner: torch.Tensor) -> torch.Tensor:
        """Gradient of the input, `[T, in]`."""
        (buffer,), scales = dy
        weight, weight_scales = self.backward_weight
        if self.extended:
            return _product(buffer, scales, weight, weight_scales)
        width = sum(self.widths)
        product = _product(buffer[:, :width], scales, weight[:, :width], weight_scales)
        return product.addmm_(d_inner, self.adapter.a, alpha=self.scale)

    def d_adapter(
        self,
        x: torch.Tensor | None,
        inner: torch.Tensor,
        dys: list[torch.Tensor],
        d_inner: torch.Tensor,
        carrier: Any = None,
        dy: Any = None,
    ) -> None:
        """Adds the adapter's gradients; of a thin site from the 8-bit matrices where they are given."""
        adapter, rank = self.adapter, self.rank
        if x is None:
            buffer, scales = carrier
            operations(d_inner).thin_gradient(adapter.grad_a, d_inner, scales, buffer[0][:, : self.inputs], self.scale)
        else:
            add_product(adapter.grad_a, d_inner.T, x, self.scale)
        start = 0
        for projection, (grad, width) in enumerate(zip(adapter.grad_b, self.widths, strict=True)):
            part = inner[:, projection * rank : (projection + 1) * rank]
            if self.thin and dy is not None:
                operations(part).thin_gradient(grad, part, dy[1], dy[0][0][:, start : start + width], self.scale)
            else:
                add_product(grad, part.T, dys[projection], self.scale)
            start += width

    def _room(self, tokens: int) -> Room:
        device = self.a8.device
        copies = len(self.forward_weights)
        buffer = torch.empty((copies, tokens, self.inputs + self.tail), dtype=E4M3, device=device)
        return buffer, torch.empty((tokens, 1), device=device)

    def _gradient_room(self, tokens: int) -> Room:
        device = self.a8.device
        buffer = torch.empty((1, tokens, sum(self.widths) + self.columns), dtype=E4M3, device=device)
        return buffer, torch.empty((tokens, 1), device=device)


class Refresher:
    """Renews all sites' quantised adapters after an optimizer step, from the second on as a CUDA graph.

    Launching the some 700 small kernels one by one took 40 ms of a 450 ms step on an H100, since nothing else runs
    meanwhile.
    """

    def __init__(self, sites: list[Fp8Site]) -> None:
        """Lays the sites' balances side by side, so that a few operations compute them all."""
        self.sites = sites
        device = sites[0].a8.device
        self._a: list[torch.Tensor] = []
        self._b: list[torch.Tensor] = []
        forward, backward = [], []
        for site in sites:
            self._a += [site.adapter.a[at : at + site.rank] for at in range(0, site.columns, site.rank)]
            self._b += site.adapter.b
            mean = torch.stack([scales.mean() for _, scales in site.forward_weights]).mean()
            forward += [mean] * len(site.widths)
            backward += [site.backward_weight[1].mean()] * len(site.widths)
        self._limits = (LARGEST / sites[0].scale) * torch.stack([torch.stack(forward), torch.stack(backward)])
        self.balances = torch.ones((2, len(self._a)), device=device)
        self.strain = torch.zeros(len(self._a), device=device)
        """How far the two ranges of each projection's tails have been apart; above `MAX_STRAIN` values are cut off."""
        start = 0
        for site in sites:
            here = slice(start, start + len(site.widths))
            site.balance, site.back_balance = self.balances[0, here], self.balances[1, here]
            start += len(site.widths)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def __call__(self) -> None:
        """Renews everything."""
        self._calls += 1
        if self._graph is not None:
            self._graph.replay()
        elif self._calls == 1 or not self.balances.is_cuda:  # the first run compiles the kernels
            self._renew()
        else:
            self._graph = torch.cuda.CUDAGraph()
            # NCCL's threads ask the device meanwhile
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._renew()
            self._graph.replay()

    def relax(self) -> int:
        """Sites whose tails do not fit the format go over to adding the adapter in bf16; their number. Waits for the
        device.
        """
        strained, start = (self.strain > MAX_STRAIN).tolist(), 0
        relaxed = 0
        for site in self.sites:
            if site.extended and any(strained[start : start + len(site.widths)]):
                site.extended = False
                relaxed += 1
            start += len(site.widths)
        return relaxed

    def _renew(self) -> None:
        count = len(self._a)
        factor = ROOM / self.sites[0].rank ** 0.5
        norms = torch.stack(torch._foreach_norm(self._a + self._b)).float().view(2, count) * factor
        largest = torch.stack(torch._foreach_norm(self._a + self._b, float("inf"))).float().view(2, count) + TINY
        allowed = self._limits / largest.flip(0)  # the tail behind the weights is B forward, A backward
        torch.maximum(self.strain, (norms / allowed).amax(0), out=self.strain)
        self.balances.copy_(torch.minimum(norms, allowed).clamp_(0.005, 64.0))
        for site in self.sites:
            site.refresh()


def _quantised(weight: torch.Tensor, tail: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A frozen matrix `[N, K]` in 8 bits with `tail` zero columns behind it, and its row scales `[N, 1]`."""
    rows, columns = weight.shape
    buffer = torch.zeros((rows, columns + tail), dtype=torch.uint8, device=weight.device).view(E4M3)
    scales = torch.empty((rows, 1), device=weight.device)
    operations(weight).quantise(weight, buffer[None], scales)
    return buffer, scales


def _product(
    left: torch.Tensor, left_scales: torch.Tensor, right: torch.Tensor, right_scales: torch.Tensor
) -> torch.Tensor:
    """`[M, K]` times the transpose of `[N, K]` in bf16; a CPU multiplies the same values in 32 bits."""
    if not left.is_cuda:
        return ((left.float() @ right.float().T) * left_scales * right_scales.T).bfloat16()
    return torch._scaled_mm(
        left, right.T, scale_a=left_scales, scale_b=right_scales.T, out_dtype=torch.bfloat16, use_fast_accum=True
    )
