"""Whether 8 bits may stand in for 16 on this model and these rows: measured layer by layer.

That is done before the first step.

Real models have channels far larger than the rest, and one scale a row leaves little of what lies beside them. So each
layer is quantised alone first; one that changes loss or gradient beyond `LAYER` stays in 16 bits. Then all others are
quantised together; if that is beyond `RUN`, the run goes on in 16 bits. Gradients are those of the adapter, at whose
start the `B` matrices alone have any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch

from tasks.training.backends.fast.decoder import Decoder

Measure = Callable[[Decoder], float]
"""Adds the adapter's gradients over the rows that are looked at to those there are; their mean loss in nats."""

LOOKED_AT_TOKENS: Final = 2048
"""The first rows of the run up to this many tokens, at least one row."""


@dataclass(frozen=True)
class Bound:
    """How far 8 bits may be from 16."""

    loss: float
    """Change of the mean loss, as a share of it."""
    direction: float
    """Least cosine between both gradients of any layer's adapter."""


LAYER: Final = Bound(loss=0.003, direction=0.98)
RUN: Final = Bound(loss=0.01, direction=0.9)
"""SmolLM2-135M, which trains worse in 8 bits (8% more loss by step 260), is beyond it: on 256 tokens of English its
layers alone change the loss by up to 0.3% and turn the gradient to 0.93, the last and the first most; 27 of 30 together
make 0.5% and 0.89. Random models of the tests stay above 0.98.
"""


@dataclass(frozen=True)
class Finding:
    """How far one way of computing is from 16 bits."""

    loss: float
    """Mean, nats per target."""
    loss_change: float
    """As a share of the loss in 16 bits."""
    direction: float
    """Least cosine between both gradients of any layer's adapter."""

    def within(self, bound: Bound) -> bool:
        """Whether both are."""
        return abs(self.loss_change) <= bound.loss and self.direction >= bound.direction


def look(decoder: Decoder, measure: Measure) -> dict[str, Any]:
    """Which layers bear 8 bits.

    Args:
        decoder: in 16 bits; it is used up.
        measure: on the same rows each time.

    Returns:
        `loss_16_bits`; `layers`: the finding of each alone; `layers_in_16_bits`: numbers of those that stay, all if
        the run does; `together`: the finding of the others, null where there are none; `bounds`.
    """
    count = len(decoder.layers)
    loss, reference = _measured(decoder, measure)
    alone = []
    for number, layer in enumerate(decoder.layers):
        wide = dict(layer.sites)
        decoder.quantise([number])
        alone.append(_finding(loss, reference, *_measured(decoder, measure), count))
        layer.sites = wide
    decoder.quantise([])
    staying = [number for number, finding in enumerate(alone) if not finding.within(LAYER)]
    together = None
    if len(staying) < count:
        decoder.quantise([number for number in range(count) if number not in staying])
        together = _finding(loss, reference, *_measured(decoder, measure), count)
        if not together.within(RUN):
            staying = list(range(count))
    return {
        "loss_16_bits": loss,
        "layers": [asdict(finding) for finding in alone],
        "layers_in_16_bits": staying,
        "together": asdict(together) if together else None,
        "bounds": {"layer": asdict(LAYER), "run": asdict(RUN)},
    }


def told(found: dict[str, Any]) -> str:
    """What was found, in one line."""
    staying, layers = found["layers_in_16_bits"], found["layers"]
    lowest = min(layer["direction"] for layer in layers)
    largest = max((layer["loss_change"] for layer in layers), key=abs)
    line = (
        f"8 bits against 16 on the first rows: a layer alone changes the loss by {largest:+.2%}, direction {lowest:.3f}"
    )
    if found["together"]:
        line += f"; all together {found['together']['loss_change']:+.2%}, {found['together']['direction']:.3f}"
    if len(staying) == len(layers):
        return f"{line}: the run stays in 16 bits"
    return f"{line}: {len(staying)} of {len(layers)} layers stay in 16 bits"


def _measured(decoder: Decoder, measure: Measure) -> tuple[float, torch.Tensor]:
    """`(mean loss, the adapter's gradients)`; there are none before and after."""
    gradient = decoder.adapters.gradient
    gradient.zero_()
    loss = measure(decoder)
    measured = gradient.clone()
    gradient.zero_()
    return loss, measured


def _finding(loss: float, reference: torch.Tensor, found: float, gradient: torch.Tensor, layers: int) -> Finding:
    directions = [
        float(torch.nn.functional.cosine_similarity(one.float(), other.float(), dim=0))
        for one, other in zip(reference.view(layers, -1), gradient.view(layers, -1), strict=True)
    ]
    return Finding(found, found / loss - 1, min(directions))
