"""How much of a card's arithmetic a training uses (MFU): operations that the mathematics asks for, over its peak.

Counted per token, none twice, whatever is computed again to save memory: the frozen products forward and for the
gradient of their input (their weights get none), the adapter's three products, causal attention forward and backward (4
and 8 operations per pair, half of the pairs; Chowdhery et al., PaLM, appendix B), the output layer for targets only.
The peak is that of dense bfloat16 (float16 where there is none), also when products run in 8 bits, so that figures can
be compared; 8 bits can therefore exceed what bfloat16 allows.
"""

from __future__ import annotations

import itertools
from typing import Final

from tasks.training.plan.shape import Shape
from tasks.training.table import Table

PEAKS: Final = (
    ("B200", 2250e12),
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("H200", 989e12),
    ("H800", 989e12),
    ("A100", 312e12),
    ("A800", 312e12),
    ("L40S", 362e12),
    ("L4", 121e12),
    ("A10G", 70e12),
    ("T4", 65e12),
)
"""(part of the device's name, operations per second), the first that fits; NVIDIA's data sheets, without sparsity."""


def peak_flops(device: str) -> float | None:
    """A card's peak by its name as the driver gives it, or None: a CPU or a card that is not in the list."""
    words = device.replace("-", " ").split()
    return next((peak for name, peak in PEAKS if all(part in words for part in name.split())), None)


def flops_per_token(shape: Shape, rank: int, document_tokens: float, target_share: float) -> float:
    """Operations of one token, forward and backward.

    Args:
        shape: the model.
        rank: of the adapter.
        document_tokens: mean length, over tokens, of the document that a token stands in.
        target_share: part of the tokens that are targets.
    """
    frozen = 4 * shape.frozen + 4 * shape.vocabulary * shape.hidden * target_share
    attention = 6 * document_tokens * shape.heads * shape.head * shape.layers
    return frozen + 6 * shape.adapter(rank) + attention


def table_facts(table: Table) -> tuple[float, float]:
    """`(document_tokens, target_share)` of a table."""
    tokens = squares = targets = 0
    for index in range(len(table)):
        row = table.row(index)
        starts = [*(row.position_ids == 0).nonzero()[0].tolist(), len(row.position_ids)]
        lengths = [end - start for start, end in itertools.pairwise(starts)]
        tokens += sum(lengths)
        squares += sum(length * length for length in lengths)
        targets += row.targets
    return squares / tokens, targets / tokens
