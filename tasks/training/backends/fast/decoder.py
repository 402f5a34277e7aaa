"""A Llama-shaped decoder with explicit forward and backward: residual stream, norms, rotary positions, grouped
attention, SwiGLU.

Only the adapters get gradients. Layers listed for recompute keep their input alone and are computed again on the way
back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from tasks.base.records import IGNORED
from tasks.training.backends.fast import formulas
from tasks.training.backends.fast.adapters import SITES, Adapters
from tasks.training.backends.fast.attention import Attention, Documents
from tasks.training.backends.fast.sites import Site
from tasks.training.backends.fast.weights import biased, rotates
from tasks.training.losses import soft_divergences_

HEAD_ROWS = 4096
"""Rows of logits in memory at a time: 250 MB in bf16 for a vocabulary of 32,000."""


@dataclass
class Layer:
    """One decoder layer: two norms and four sites."""

    norms: tuple[torch.Tensor, torch.Tensor]
    sites: dict[str, Any]
    rotates: bool
    """Whether q and k are turned by their positions."""


@dataclass
class Kept:
    """What a layer keeps for its backward pass."""

    h: torch.Tensor
    rest: dict[str, Any] | None


@dataclass(frozen=True)
class SoftTargets:
    """Targets of a row that are soft, on the CPU."""

    labelled: torch.Tensor
    """Numbers, among the row's targets, of those that are labels; int64."""
    numbers: torch.Tensor
    """Of those that are soft, `[N]`, int64."""
    ids: torch.Tensor
    """`[N, k]`, int64."""
    logprobs: torch.Tensor
    """`[N, k]`, float32."""


class Decoder:
    """The model. Weights are taken from `read` one by one, so that host memory never holds two copies."""

    def __init__(
        self,
        config: Any,
        read: Callable[[str], torch.Tensor],
        adapters: Adapters,
        scale: float,
        site: Callable[..., Any] = Site,
        attention: str = "auto",
    ) -> None:
        """Builds the layers.

        Args:
            config: transformers' configuration.
            read: gives a weight by its name in the checkpoint, on the device and in compute precision.
            adapters: the matrices that are trained.
            scale: factor of the adapters' output.
            site: `Site` or `Fp8Site`.
            attention: which kernel; see `Attention`.
        """
        from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

        self.config, self.adapters = config, adapters
        self.head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.attention = Attention(config.num_attention_heads, config.num_key_value_heads, self.head, attention)
        self.embedding = read("model.embed_tokens.weight")
        self.final_norm = read("model.norm.weight")
        self.output = self.embedding if config.tie_word_embeddings else read("lm_head.weight")
        self.rotary = LlamaRotaryEmbedding(config).to(self.embedding.device)
        self.layers: list[Layer] = []
        biases = biased(config)
        for number in range(config.num_hidden_layers):
            prefix = f"model.layers.{number}"
            norms = (read(f"{prefix}.input_layernorm.weight"), read(f"{prefix}.post_attention_layernorm.weight"))
            sites = {
                name: site(
                    [read(f"{prefix}.{part}.weight") for part in parts],
                    [read(f"{prefix}.{part}.bias") if part in biases else None for part in parts],
                    adapters.sites[number][name],
                    scale,
                )
                for name, parts in SITES.items()
            }
            self.layers.append(Layer(norms, sites, rotates(config, number)))
        self.recompute = 0
        """This many layers, counted from the last, are computed again in the backward pass."""
        every = [one for layer in self.layers for one in layer.sites.values()]
        self.refresher = None if isinstance(every[0], Site) else _refresher(every)
        self.refresh()

    def take(self, adapters: Adapters, scale: float) -> None:
        """Starts over with other adapters; of unquantised sites only, whose weights do not know the rank."""
        self.adapters, self.recompute = adapters, 0
        for layer, sites in zip(self.layers, adapters.sites, strict=True):
            for name, site in layer.sites.items():
                site.take(sites[name], scale)

    def let_go(self) -> None:
        """Forgets the adapters, which are large, until others are taken."""
        del self.adapters
        for layer in self.layers:
            for site in layer.sites.values():
                del site.adapter

    def refresh(self) -> None:
        """Called after the adapters changed."""
        if self.refresher is not None:
            self.refresher()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def forward_backward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        labels: torch.Tensor,
        factor: float,
        padding: int = 0,
        soft: SoftTargets | None = None,
    ) -> torch.Tensor:
        """Adds the adapters' gradients of `factor` times the summed losses of one row.

        Args:
            input_ids: int64 `[T]` on the CPU.
            position_ids: int64 `[T]` on the CPU; documents begin at 0.
            labels: int64 `[T]` on the CPU; `IGNORED` where there is no loss. Token t is predicted from token t - 1.
            factor: 1 / targets of the whole optimizer step.
            padding: how many tokens at the end only fill the row up.
            soft: which targets are soft, and those; null = all are labels.

        Returns:
            Losses of the targets in their order, float32 on the device; divergences of those that are soft.
        """
        device = self.embedding.device
        documents = Documents.of(position_ids, device, padding)
        cos, sin = self._angles(position_ids.to(device, non_blocking=True))
        h = self.embedding[input_ids.to(device, non_blocking=True)]
        delta: torch.Tensor | None = None
        kept: list[Kept] = []
        light = len(self.layers) - self.recompute
        for number, layer in enumerate(self.layers):
            h, delta, rest = self._layer(layer, h, delta, cos, sin, documents)
            kept.append(Kept(h, rest if number < light else None))
            h = rest["h2"]
            del rest
        losses, residual = self._head(h, delta, labels, factor, soft)
        self._backward(kept, residual, cos, sin, documents)
        return losses

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def losses(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, labels: torch.Tensor, padding: int = 0
    ) -> torch.Tensor:
        """Losses of the targets alone, as `forward_backward` gives them; no gradient is touched."""
        device = self.embedding.device
        documents = Documents.of(position_ids, device, padding)
        cos, sin = self._angles(position_ids.to(device, non_blocking=True))
        h = self.embedding[input_ids.to(device, non_blocking=True)]
        delta: torch.Tensor | None = None
        for layer in self.layers:
            _, delta, rest = self._layer(layer, h, delta, cos, sin, documents)
            h = rest["h2"]
        return self._head(h, delta, labels, 1.0)[0]

    def _layer(
        self,
        layer: Layer,
        h: torch.Tensor,
        delta: torch.Tensor | None,
        cos: torch.Tensor,
        sin: torch.Tensor,
        documents: Documents,
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """`(input of the layer, what is to be added to rest["h2"], what its backward needs)`."""
        sites, eps = layer.sites, self.config.rms_norm_eps
        cos, sin = _turned(layer, cos, sin)
        h, x1, rstd1, carrier = sites["qkv"].add_norm(h, delta, layer.norms[0], eps)
        (q, k, v), inner_qkv = sites["qkv"].forward(carrier)
        self._rope(q, k, cos, sin)
        out, state = self.attention.forward(q, k, v, documents)
        (d1,), inner_o = sites["o"].forward(sites["o"].prepare(out))
        h2, x2, rstd2, carrier = sites["gate_up"].add_norm(h, d1, layer.norms[1], eps)
        (gate, up), inner_gu = sites["gate_up"].forward(carrier)
        carrier = sites["down"].swiglu(gate, up)
        (d2,), inner_down = sites["down"].forward(carrier)
        rest = {
            "x1": x1, "rstd1": rstd1, "inner_qkv": inner_qkv, "q": q, "k": k, "v": v, "out": out, "state": state,
            "inner_o": inner_o, "h2": h2, "x2": x2, "rstd2": rstd2, "inner_gu": inner_gu, "gate": gate, "up": up,
            "inner_down": inner_down, "act": carrier if sites["down"].thin else None,
        }  # fmt: skip
        return h, d2, rest

    def _head(
        self,
        h: torch.Tensor,
        delta: torch.Tensor | None,
        labels: torch.Tensor,
        factor: float,
        soft: SoftTargets | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Losses of the targets, and `(gradient of the last norm's output, its input, rstd, weight)`."""
        from tasks.training.backends.fast.sites import _ops

        ops = _ops(h)
        eps = self.config.rms_norm_eps
        if ops:
            h, x, rstd = ops.norm(h, delta, self.final_norm, eps, None, None)
        else:
            h, x, rstd = formulas.norm(h, delta, self.final_norm, eps)
        places = (labels[1:] != IGNORED).nonzero()[:, 0]
        targets = labels[1:][places].to(h.device, non_blocking=True)
        places = places.to(h.device, non_blocking=True)
        gradient = torch.zeros_like(x)
        losses = torch.zeros(len(places), dtype=torch.float32, device=x.device)

        def through(chosen: torch.Tensor, measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
            for piece in chosen.split(HEAD_ROWS):
                logits = x[places[piece]] @ self.output.T
                losses.index_copy_(0, piece, measure(logits, piece))
                gradient.index_copy_(0, places[piece], logits @ self.output)

        every = torch.arange(len(places), device=x.device)
        through(
            every if soft is None else soft.labelled.to(x.device, non_blocking=True),
            lambda logits, piece: (ops or formulas).cross_entropy(logits, targets[piece], factor),
        )
        if soft is not None:
            numbers = soft.numbers.to(x.device, non_blocking=True)
            row = torch.zeros_like(every).index_copy_(0, numbers, torch.arange(len(numbers), device=x.device))
            ids, logprobs = (each.to(x.device, non_blocking=True) for each in (soft.ids, soft.logprobs))
            through(
                numbers,
                lambda logits, piece: soft_divergences_(logits, ids[row[piece]], logprobs[row[piece]], factor),
            )
        return losses, (
            gradient,
            h,
            rstd,
            self.final_norm,
        )

    def _backward(
        self,
        kept: list[Kept],
        top: tuple[torch.Tensor, ...],
        cos: torch.Tensor,
        sin: torch.Tensor,
        documents: Documents,
    ) -> None:
        dx, h, rstd, weight = top
        residual = torch.zeros_like(h)
        for number in range(len(self.layers) - 1, -1, -1):
            layer, keep = self.layers[number], kept.pop()
            sites = layer.sites
            rest = keep.rest or self._layer(layer, keep.h, None, cos, sin, documents)[2]
            # down: its output's gradient is that of the residual stream after the layer
            dh, dy = sites["down"].d_norm(dx, h, weight, rstd, residual)
            d_inner = sites["down"].d_inner([dh], dy)
            dact = sites["down"].d_input(dy, d_inner)
            act, dy = sites["gate_up"].d_swiglu(rest["gate"], rest["up"], dact)
            sites["down"].d_adapter(act, rest["inner_down"], [dh], d_inner, rest["act"])
            del act, dact
            # gate and up
            dys = [rest["gate"], rest["up"]]
            d_inner = sites["gate_up"].d_inner(dys, dy)
            dx = sites["gate_up"].d_input(dy, d_inner)
            sites["gate_up"].d_adapter(rest["x2"], rest["inner_gu"], dys, d_inner, None, dy)
            dh2, dy = sites["o"].d_norm(dx, rest["h2"], layer.norms[1], rest["rstd2"], dh)
            # attention's output layer
            d_inner = sites["o"].d_inner([dh2], dy)
            dout = sites["o"].d_input(dy, d_inner)
            sites["o"].d_adapter(rest["out"], rest["inner_o"], [dh2], d_inner)
            gradients = self.attention.backward(dout, rest["q"], rest["k"], rest["v"], rest["out"], rest["state"])
            # q, k and v
            dys, dy = sites["qkv"].d_rope(*gradients, *_turned(layer, cos, sin), self.head)
            d_inner = sites["qkv"].d_inner(dys, dy)
            sites["qkv"].d_adapter(rest["x1"], rest["inner_qkv"], dys, d_inner)
            if number:  # below the first layer nothing is trained
                dx = sites["qkv"].d_input(dy, d_inner)
                h, rstd, weight, residual = keep.h, rest["rstd1"], layer.norms[0], dh2

    def _rope(self, q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
        from tasks.training.backends.fast.sites import _ops

        (_ops(q) or formulas).rope(q, k, cos, sin, self.head)

    def _angles(self, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Float32 `[T, head / 2]`; transformers' class knows every scaling of long contexts."""
        cos, sin = self.rotary(torch.empty(0, dtype=torch.float32, device=position_ids.device), position_ids[None])
        half = self.head // 2
        return cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous()


def _turned(layer: Layer, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The angles of a layer: none where it does not rotate."""
    return (cos, sin) if layer.rotates else (torch.ones_like(cos), torch.zeros_like(sin))


def _refresher(sites: list[Any]) -> Any:
    from tasks.training.backends.fast.fp8 import Refresher

    return Refresher(sites)
