"""The adapter's matrices as two flat vectors: float32 masters, and a copy for the products.

The masters are the optimizer's; the copy has the precision of the computation.

A projection `out x in` has `A` `[rank, in]` and `B` transposed, `[rank, out]`. Projections that share an input have
their `A` side by side, so that one product makes all their inner values. Saved files are in PEFT's format
(`lora_A.weight` `[rank, in]`, `lora_B.weight` `[out, rank]`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from tasks.training.adapter import lora_config
from tasks.training.params import TrainingParams

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""torch's and transformers' defaults for AdamW."""

SITES: dict[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""Projections that share an input, in the order of their parts."""


@dataclass
class SiteAdapter:
    """Views of one site's matrices and their gradients."""

    a: torch.Tensor
    """`[projections * rank, in]`."""
    b: list[torch.Tensor]
    """`[rank, out]` each."""
    grad_a: torch.Tensor
    grad_b: list[torch.Tensor]


class Adapters:
    """All matrices of a model, their gradients and their optimizer state."""

    def __init__(
        self,
        shapes: dict[str, tuple[int, int]],
        layers: int,
        params: TrainingParams,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Starts like PEFT: A uniform within `1 / sqrt(in)` (Kaiming, a = sqrt 5), B zero.

        Args:
            shapes: (out, in) by projection name, equal in all layers.
            layers: number of decoder layers.
            params: rank and seed.
            dtype: compute precision.
            device: where everything lies.
        """
        self.shapes, self.layers = shapes, layers
        self.ranks = {
            name: params.rank if name.split(".")[-1] in params.linears else 0
            for names in SITES.values()
            for name in names
        }
        """By projection; 0 = it has no adapter, and its matrices no rows."""
        size = layers * sum(self.ranks[name] * (out + into) for name, (out, into) in shapes.items())
        on_gpu = device.type == "cuda"
        self.master = torch.zeros(size, dtype=torch.float32, device=device)
        self.compute = torch.zeros(size, dtype=dtype, device=device)
        summed = dtype if on_gpu else torch.promote_types(dtype, torch.float32)
        self.gradient = torch.zeros(size, dtype=summed, device=device)
        self.first = torch.zeros(size, dtype=torch.bfloat16 if on_gpu else torch.float32, device=device)
        self.second = torch.zeros(size, dtype=torch.float32, device=device)
        self.steps = 0
        self.sites: list[dict[str, SiteAdapter]] = []
        masters: list[dict[str, SiteAdapter]] = []
        at = 0
        for _ in range(layers):
            views, master_views = {}, {}
            for site, names in SITES.items():
                views[site], _ = self._views(self.compute, self.gradient, site, names, at)
                master_views[site], at = self._views(self.master, self.gradient, site, names, at)
            self.sites.append(views)
            masters.append(master_views)
        generator = torch.Generator().manual_seed(params.seed)
        for views in masters:
            for adapter in views.values():
                bound = 1 / math.sqrt(adapter.a.shape[1])
                adapter.a.copy_(torch.empty(adapter.a.shape).uniform_(-bound, bound, generator=generator))
        self.compute.copy_(self.master)

    def _views(
        self, values: torch.Tensor, gradients: torch.Tensor, site: str, names: tuple[str, ...], at: int
    ) -> tuple[SiteAdapter, int]:
        into = self.shapes[names[0]][1]
        rows = sum(self.ranks[name] for name in names)

        def cut(start: int, shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
            piece = slice(start, start + shape[0] * shape[1])
            return values[piece].view(shape), gradients[piece].view(shape)

        a, grad_a = cut(at, (rows, into))
        at += rows * into
        b, grad_b = [], []
        for name in names:
            shape = (self.ranks[name], self.shapes[name][0])
            view, grad = cut(at, shape)
            b.append(view)
            grad_b.append(grad)
            at += shape[0] * shape[1]
        return SiteAdapter(a, b, grad_a, grad_b), at

    def step(self, rate: float, max_norm: float, decay: float) -> torch.Tensor:
        """One AdamW step; clears the gradients. Returns their norm before clipping, still on the device."""
        self.steps += 1
        norm = torch.linalg.vector_norm(self.gradient, dtype=torch.float32)
        if self.master.is_cuda:
            from tasks.training.backends.fast import kernels as operations
        else:
            from tasks.training.backends.fast import formulas as operations  # type: ignore[no-redef]
        operations.adamw(
            self.master,
            self.first,
            self.second,
            self.gradient,
            self.compute,
            norm,
            max_norm=max_norm,
            rate=rate,
            beta1=BETA1,
            beta2=BETA2,
            eps=EPSILON,
            decay=decay,
            correction1=1 - BETA1**self.steps,
            correction2=1 - BETA2**self.steps,
        )
        self.gradient.zero_()
        return norm

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must hold to go on bit for bit."""
        return {"master": self.master, "first": self.first, "second": self.second, "steps": torch.tensor(self.steps)}

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Takes a checkpoint's state over."""
        for name in ("master", "first", "second"):
            getattr(self, name).copy_(state[name])
        self.steps = int(state["steps"])
        self.compute.copy_(self.master)
        self.gradient.zero_()

    def save(self, folder: Path, params: TrainingParams) -> None:
        """Writes PEFT's files, with the weights exactly as the forward pass used them."""
        from safetensors.torch import save_file

        tensors: dict[str, torch.Tensor] = {}
        for layer, views in enumerate(self.sites):
            for site, names in SITES.items():
                for projection, name in enumerate(names):
                    rank = self.ranks[name]
                    if not rank:
                        continue
                    prefix = f"base_model.model.model.layers.{layer}.{name}"
                    rows = slice(projection * rank, (projection + 1) * rank)
                    tensors[f"{prefix}.lora_A.weight"] = views[site].a[rows].contiguous().cpu()
                    tensors[f"{prefix}.lora_B.weight"] = views[site].b[projection].T.contiguous().cpu()
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        lora_config(params).save_pretrained(folder)
