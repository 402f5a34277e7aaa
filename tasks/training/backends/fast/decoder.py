"""A decoder of Llama's kind with explicit forward and backward.

It has a residual stream, norms, rotary positions, grouped attention and a gated MLP.

Only the adapters get gradients. Layers listed for recompute keep their input alone and are computed again on the way
back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from tasks.base.records import IGNORED
from tasks.training.backends.fast.adapters import SITES, Adapters
from tasks.training.backends.fast.attention import Attention, Documents
from tasks.training.backends.fast.fp8 import Fp8Site, Refresher
from tasks.training.backends.fast.sites import Site, operations
from tasks.training.backends.fast.weights import (
    GELU,
    activation,
    biased,
    is_gemma,
    norm_weight,
    norms,
    rotation,
    window,
)
from tasks.training.losses import soft_divergences_

HEAD_ROWS = 4096
"""Rows of logits in memory at a time: 250 MB in bf16 for a vocabulary of 32,000."""


Angles = dict[str | None, tuple[torch.Tensor, torch.Tensor]]
"""Cosines and sines of the positions, float32 `[T, head / 2]`, by the kind of layer; under null those that turn
nothing.
"""


@dataclass
class Layer:
    """One decoder layer: its norms and four sites."""

    norms: dict[str, torch.Tensor]
    """Those that the model has, by the names of `weights.norms`."""
    sites: dict[str, Any]
    rotation: str | None
    """Which angles turn q and k."""
    window: int | None
    """How many tokens a token sees, itself the last of them; null = all before it."""


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
        attention: str = "auto",
    ) -> None:
        """Builds the layers.

        Args:
            config: transformers' configuration.
            read: gives a weight by its name in the checkpoint, on the device and in compute precision.
            adapters: the matrices that are trained.
            scale: factor of the adapters' output.
            attention: which kernel; see `Attention`.
        """
        self.config, self.adapters = config, adapters
        self.head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        gemma = is_gemma(config)
        self.attention = Attention(self.head, config.query_pre_attn_scalar**-0.5 if gemma else None, attention)
        self.gelu = activation(config) == GELU
        self.embedding = read("model.embed_tokens.weight")
        self.embedding_scale = torch.tensor(config.hidden_size**0.5).to(self.embedding) if gemma else None
        self.final_norm = norm_weight(config, read("model.norm.weight"))
        self.output = self.embedding if config.tie_word_embeddings else read("lm_head.weight")
        self.rotary = _rotary(config).to(self.embedding.device)
        self.layers: list[Layer] = []
        biases = biased(config)
        for number in range(config.num_hidden_layers):
            prefix = f"model.layers.{number}"
            weights = {
                does: norm_weight(config, read(f"{prefix}.{name}.weight"))
                for does, name in norms(config).items()
                if name
            }
            sites = {
                name: Site(
                    [read(f"{prefix}.{part}.weight") for part in parts],
                    [read(f"{prefix}.{part}.bias") if part in biases else None for part in parts],
                    adapters.sites[number][name],
                    scale,
                )
                for name, parts in SITES.items()
            }
            self.layers.append(Layer(weights, sites, rotation(config, number), window(config, number)))
        self.recompute = 0
        """This many layers, counted from the last, are computed again in the backward pass."""
        self.refresher: Refresher | None = None

    def quantise(self, numbers: Iterable[int]) -> None:
        """Has some layers' products computed in 8 bits from now on.

        It goes layer by layer, so that memory never holds two copies of more; the refresher knows those that are done.
        """
        for number in numbers:
            sites = self.layers[number].sites
            for name, site in sites.items():
                sites[name] = Fp8Site(list(site.weight.split(site.widths)), site.biases, site.adapter, site.scale)
        every = [site for layer in self.layers for site in layer.sites.values() if isinstance(site, Fp8Site)]
        self.refresher = Refresher(every) if every else None
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
        done: Callable[[int], None] | None = None,
    ) -> torch.Tensor:
        """Adds the adapters' gradients of `factor` times the summed losses of one row.

        Args:
            input_ids: int64 `[T]` on the CPU.
            position_ids: int64 `[T]` on the CPU; documents begin at 0.
            labels: int64 `[T]` on the CPU; `IGNORED` where there is no loss. Token t is predicted from token t - 1.
            factor: 1 / targets of the whole optimizer step.
            padding: how many tokens at the end only fill the row up.
            soft: which targets are soft, and those; null = all are labels.
            done: called with a layer's number when its gradients are there, last layer first.

        Returns:
            Losses of the targets in their order, float32 on the device; divergences of those that are soft.
        """
        h, angles, documents = self._begin(input_ids, position_ids, padding)
        delta: torch.Tensor | None = None
        kept: list[Kept] = []
        light = len(self.layers) - self.recompute
        for number, layer in enumerate(self.layers):
            h, delta, rest = self._layer(layer, h, delta, angles, documents)
            kept.append(Kept(h, rest if number < light else None))
            h = rest["h2"]
            del rest
        losses, residual = self._head(h, delta, labels, factor, soft)
        self._backward(kept, residual, angles, documents, done or (lambda layer: None))
        return losses

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def losses(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, labels: torch.Tensor, padding: int = 0
    ) -> torch.Tensor:
        """Losses of the targets alone, as `forward_backward` gives them; no gradient is touched."""
        h, angles, documents = self._begin(input_ids, position_ids, padding)
        delta: torch.Tensor | None = None
        for layer in self.layers:
            _, delta, rest = self._layer(layer, h, delta, angles, documents)
            h = rest["h2"]
        return self._head(h, delta, labels, 1.0)[0]

    def _begin(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, padding: int
    ) -> tuple[torch.Tensor, Angles, Documents]:
        """`(input of the first layer, angles of the positions, where documents lie)`."""
        device = self.embedding.device
        h = self.embedding[input_ids.to(device, non_blocking=True)]
        if self.embedding_scale is not None:
            h *= self.embedding_scale
        angles = self._angles(position_ids.to(device, non_blocking=True))
        return h, angles, Documents.of(position_ids, device, padding)

    def _layer(
        self,
        layer: Layer,
        h: torch.Tensor,
        delta: torch.Tensor | None,
        angles: Angles,
        documents: Documents,
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """`(input of the layer, what is to be added to rest["h2"], what its backward needs)`."""
        sites, eps = layer.sites, self.config.rms_norm_eps
        h, x1, rstd1, carrier = sites["qkv"].add_norm(h, delta, layer.norms["before_attention"], eps)
        (q, k, v), inner_qkv = sites["qkv"].forward(carrier)
        q, before_q = self._normed_heads(layer, "queries", q)
        k, before_k = self._normed_heads(layer, "keys", k)
        operations(q).rope(q, k, *angles[layer.rotation], self.head)
        out, state = self.attention.forward(q, k, v, documents, layer.window)
        (d1,), inner_o = sites["o"].forward(sites["o"].prepare(out))
        d1, before_d1 = self._normed_after(layer, "after_attention", d1)
        h2, x2, rstd2, carrier = sites["gate_up"].add_norm(h, d1, layer.norms["before_mlp"], eps)
        (gate, up), inner_gu = sites["gate_up"].forward(carrier)
        carrier = sites["down"].glu(gate, up, self.gelu)
        (d2,), inner_down = sites["down"].forward(carrier)
        d2, before_d2 = self._normed_after(layer, "after_mlp", d2)
        rest = {
            "x1": x1, "rstd1": rstd1, "inner_qkv": inner_qkv, "q": q, "k": k, "v": v, "out": out, "state": state,
            "inner_o": inner_o, "h2": h2, "x2": x2, "rstd2": rstd2, "inner_gu": inner_gu, "gate": gate, "up": up,
            "inner_down": inner_down, "act": carrier if sites["down"].thin else None,
            "queries": before_q, "keys": before_k, "after_attention": before_d1, "after_mlp": before_d2,
        }  # fmt: skip
        return h, d2, rest

    def _normed_heads(self, layer: Layer, which: str, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """`(each head of x [T, heads * head] normed, what the way back needs)`; x itself where there is no norm."""
        if which not in layer.norms:
            return x, None
        rows = x.reshape(-1, self.head)
        _, normed, rstd = operations(x).norm(rows, None, layer.norms[which], self.config.rms_norm_eps)
        return normed.view(x.shape), (x, rstd)

    def _normed_after(self, layer: Layer, which: str, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """`(x normed, what the way back needs)`; x itself where there is no norm behind."""
        if which not in layer.norms:
            return x, None
        x, normed, rstd = operations(x).norm(x, None, layer.norms[which], self.config.rms_norm_eps)
        return normed, (x, layer.norms[which], rstd)

    def _head(
        self,
        h: torch.Tensor,
        delta: torch.Tensor | None,
        labels: torch.Tensor,
        factor: float,
        soft: SoftTargets | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Losses of the targets, and `(gradient of the last norm's output, its input, rstd, weight)`."""
        h, x, rstd = operations(h).norm(h, delta, self.final_norm, self.config.rms_norm_eps)
        places = (labels[1:] != IGNORED).nonzero()[:, 0]
        targets = labels[1:][places].to(h.device, non_blocking=True)
        places = places.to(h.device, non_blocking=True)
        gradient = torch.zeros_like(x)
        losses = torch.zeros(len(places), dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)

        def through(chosen: torch.Tensor, measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
            for piece in chosen.split(HEAD_ROWS):
                logits = x[places[piece]] @ self.output.T
                losses.index_copy_(0, piece, measure(logits, piece))
                gradient.index_copy_(0, places[piece], logits @ self.output)

        every = torch.arange(len(places), device=x.device)
        through(
            every if soft is None else soft.labelled.to(x.device, non_blocking=True),
            lambda logits, piece: operations(logits).cross_entropy(logits, targets[piece], factor),
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
        angles: Angles,
        documents: Documents,
        done: Callable[[int], None],
    ) -> None:
        dx, h, rstd, weight = top
        residual = torch.zeros_like(h)
        for number in range(len(self.layers) - 1, -1, -1):
            layer, keep = self.layers[number], kept.pop()
            sites = layer.sites
            rest = keep.rest or self._layer(layer, keep.h, None, angles, documents)[2]
            # down: its output's gradient is that of the residual stream after the layer
            dh, d_output, dy = _into(sites["down"], rest["after_mlp"], dx, h, weight, rstd, residual)
            d_inner = sites["down"].d_inner([d_output], dy)
            dact = sites["down"].d_input(dy, d_inner)
            act, dy = sites["gate_up"].d_glu(rest["gate"], rest["up"], dact, self.gelu)
            sites["down"].d_adapter(act, rest["inner_down"], [d_output], d_inner, rest["act"])
            del act, dact
            # gate and up
            dys = [rest["gate"], rest["up"]]
            d_inner = sites["gate_up"].d_inner(dys, dy)
            dx = sites["gate_up"].d_input(dy, d_inner)
            sites["gate_up"].d_adapter(rest["x2"], rest["inner_gu"], dys, d_inner, None, dy)
            before = layer.norms["before_mlp"]
            dh2, d_output, dy = _into(sites["o"], rest["after_attention"], dx, rest["h2"], before, rest["rstd2"], dh)
            # attention's output layer
            d_inner = sites["o"].d_inner([d_output], dy)
            dout = sites["o"].d_input(dy, d_inner)
            sites["o"].d_adapter(rest["out"], rest["inner_o"], [d_output], d_inner)
            gradients = self.attention.backward(dout, rest["q"], rest["k"], rest["v"], rest["out"], rest["state"])
            # q, k and v
            dys, dy = self._before_heads(layer, rest, gradients, *angles[layer.rotation])
            d_inner = sites["qkv"].d_inner(dys, dy)
            sites["qkv"].d_adapter(rest["x1"], rest["inner_qkv"], dys, d_inner)
            done(number)
            if number:  # below the first layer nothing is trained
                dx = sites["qkv"].d_input(dy, d_inner)
                h, rstd, weight, residual = keep.h, rest["rstd1"], layer.norms["before_attention"], dh2

    def _before_heads(
        self,
        layer: Layer,
        rest: dict[str, Any],
        gradients: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        cos: torch.Tensor,
        sin: torch.Tensor,
    ) -> tuple[list[torch.Tensor], Any]:
        """From gradients of q, k and v as attention took them to those of the site's outputs; see `Site.d_rope`."""
        site, (dq, dk, dv) = layer.sites["qkv"], gradients
        if rest["queries"] is None:
            dys, dy = site.d_rope(dq, dk, dv, cos, sin, self.head)
            return dys, dy
        together = operations(dq).rope_backward(dq, dk, dv, cos, sin, self.head)
        for part, which in zip(together.split(site.widths, dim=1), ("queries", "keys"), strict=False):
            x, rstd = rest[which]
            gradient, rows = part.reshape(-1, self.head), x.reshape(-1, self.head)
            part.copy_(operations(part).norm_backward(gradient, rows, layer.norms[which], rstd, None).view(part.shape))
        dys, dy = site.d_outputs(together)
        return dys, dy

    def _angles(self, position_ids: torch.Tensor) -> Angles:
        """Transformers' class knows every scaling of long contexts."""
        empty = torch.empty(0, dtype=torch.float32, device=position_ids.device)
        angles: Angles = {}
        for kind in {layer.rotation for layer in self.layers}:
            cos, sin = self.rotary(empty, position_ids[None], *([kind] if kind else []))
            half = self.head // 2
            cos, sin = cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous()
            angles[kind] = (cos, sin) if kind is not None else (torch.ones_like(cos), torch.zeros_like(sin))
        return angles


def _into(
    site: Any,
    after: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None,
    dx: torch.Tensor,
    h: torch.Tensor,
    weight: torch.Tensor,
    rstd: torch.Tensor,
    residual: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """From the norm that reads the residual stream back into the site that wrote to it last, perhaps through a norm.

    Returns:
        `(gradient of the stream, gradient of the site's output, what the site's d_input takes of that)`.
    """
    if after is None:
        dh, dy = site.d_norm(dx, h, weight, rstd, residual)
        return dh, dh, dy
    dh = operations(h).norm_backward(dx, h, weight, rstd, residual)
    output, after_weight, after_rstd = after
    d_output, dy = site.d_norm(dh, output, after_weight, after_rstd, None)
    return dh, d_output, dy


def _rotary(config: Any) -> Any:
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    return Gemma3RotaryEmbedding(config) if is_gemma(config) else LlamaRotaryEmbedding(config)
