"""Decides how a recipe is computed on a machine: precision, recompute, micro-batch, from shapes.

No torch is imported.

Memory is counted tensor by tensor. On an H100 (Mistral-7B shape, 8,192 tokens a row) the count gives 47.5 GiB at rank
64 and 73.8 at rank 768 for rawtune's own loop, where 47.8 and 74.1 were measured; 16.2 and 33.4 for Unsloth (16.5 and
33.7), 24.0 for Unsloth with a 4-bit base at rank 768 (24.3), 35.4 for TRL (35.0).
Time is operations over achieved rates: on the same machine 21,400 and 16,900 tokens/s where 21,142 and 16,540 were
measured (`tests/benchmarks/train_gpu.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tasks.base.errors import InputError
from tasks.training.params import Backend, Chosen, KlRows, Precision, TrainingParams
from tasks.training.plan.cards import GIB, Card
from tasks.training.plan.shape import Shape

USABLE: Final = 0.97
"""Share of the free memory that a plan may fill; the rest is for fragments and for what libraries take."""
FP8_HIDDEN: Final = 2048
"""Smaller models lose by 8 bits: SmolLM2 (576) made 76,000 tokens/s where bfloat16 made 117,000, with 1.8% more
loss.
"""
HEAD_ROWS: Final = 4096
RANKS: Final = (512, 256, 128, 64, 32, 16)
"""Proposed where the rank does not fit."""
THIN: Final = 128
SHARED_TAIL: Final = 512
"""As in `fast/decoder.py` and `fast/fp8.py`."""
MASTER_BYTES: Final = 14
"""Per adapter parameter: float32 master 4 and second moment 4; bf16 first moment 2, gradient 2 and copy 2."""
NF4_BYTES: Final = 0.55
"""Per frozen parameter in 4 bits, block scales included."""
PEFT_BYTES: Final = 10
"""Per adapter parameter with PEFT: float32 weight 4 and gradient 4, two 8-bit moments."""
WHOLE_LAYER_BYTES: Final = 16
"""Per parameter of a trained embedding or output layer: float32 weight, gradient and two moments (bitsandbytes keeps
those of an embedding in 32 bits), beside the base's own copy.
"""
WHOLE_BYTES: Final = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "nf4": NF4_BYTES}
"""Per frozen parameter."""
PEFT_SHARE: Final = {"unsloth": 0.75, "trl": 0.56}
"""Of the rate that the count gives, measured at rank 768: 7,444 and 5,386 tokens/s."""

BF16_SHARE, FP8_SHARE, ATTENTION_SHARE, BANDWIDTH_SHARE = 0.72, 0.69, 0.44, 0.85
"""Achieved shares of a card's peak rates, measured on the H100: products 700-760 and
1,350-1,500 TFLOP/s, 1,380 within a step; attention 62 TFLOP in 138 ms."""


@dataclass(frozen=True)
class Plan:
    """How a recipe is computed."""

    backend: str
    precision: str
    recompute_layers: int
    micro_batch_tokens: int
    accumulation: int
    """Micro-batches per optimizer step."""
    peak_bytes: int
    tokens_per_second: float
    because: str

    def line(self) -> str:
        """One line for a person."""
        return (
            f"{self.backend}, base in {self.precision}, {self.recompute_layers} layers recomputed, "
            f"{self.accumulation} x {self.micro_batch_tokens} tokens a step, about {self.peak_bytes / GIB:.1f} GiB and "
            f"{self.tokens_per_second:,.0f} tokens/s: {self.because}"
        )


def fast_bytes(shape: Shape, rank: int, tokens: int, fp8: bool, recomputed: int) -> int:
    """Peak memory of rawtune's own loop.

    Args:
        shape: the model.
        rank: of the adapter.
        tokens: computed at a time.
        fp8: whether the frozen products run in 8 bits (weights are then kept both ways round, a byte each).
        recomputed: layers that keep their input only.
    """
    weights = 2 * shape.frozen + 2 * shape.vocabulary_parameters
    adapter = shape.adapter(rank) * (MASTER_BYTES + (1 if fp8 else 0))
    tails = shape.layers * sum(_tails(into, outs, rank) for into, outs in shape.sites) if fp8 else 0
    layer = kept_bytes(shape, rank, fp8) * tokens
    kept = (shape.layers - recomputed) * layer + (recomputed * 2 * shape.hidden * tokens)
    working = layer if recomputed else 0  # the layer that is being computed again
    head = min(HEAD_ROWS, tokens) * shape.vocabulary * 2 + 4 * 2 * shape.hidden * tokens
    backward = (2 * shape.inner + 2 * shape.inner + 6 * shape.hidden) * tokens
    return int(weights + adapter + tails + kept + max(head, backward) + working)


def peft_bytes(shape: Shape, rank: int, tokens: int, precision: str, offloads: bool, embeddings: bool = False) -> int:
    """Peak memory of TRL or Unsloth with every layer recomputed.

    Args:
        shape: the model.
        rank: of the adapter.
        tokens: computed at a time.
        precision: of the frozen base; embedding and output layer keep 16 bits beside 4-bit layers.
        offloads: whether the layers' inputs are kept in the host's memory, as Unsloth does.
        embeddings: whether embedding and output layer are trained.
    """
    weights = WHOLE_BYTES[precision] * shape.frozen
    weights += max(2.0, WHOLE_BYTES[precision]) * shape.vocabulary_parameters
    inputs = 0 if offloads else 2 * shape.hidden * shape.layers * tokens
    working = kept_bytes(shape, rank, False) * tokens  # the layer that is being computed again
    head = min(HEAD_ROWS, tokens) * shape.vocabulary * 2
    whole = 0
    if embeddings:  # and a chunk's gradient of the output layer on its way to the sum
        whole = WHOLE_LAYER_BYTES * shape.vocabulary_parameters + 4 * shape.vocabulary * shape.hidden
    return int(weights + shape.adapter(rank) * PEFT_BYTES + whole + inputs + working + head)


def plan(
    shape: Shape, params: TrainingParams, tokens: int, card: Card, refused: str | None = None, peft: str = "unsloth"
) -> Plan:
    """The fastest way that fits: own loop with least recompute, PEFT on a 16-bit base, on a 4-bit base.

    Args:
        shape: the model.
        params: the recipe.
        tokens: of the longest row.
        card: the GPU.
        refused: why the own loop cannot do it, whatever the memory.
        peft: who takes over from the own loop, `unsloth` or `trl`.

    Raises:
        InputError: the card lacks the precision that is asked for, or nothing fits.
    """
    shape = replace(shape, mlp_only=params.mlp_only)
    has_bfloat16 = card.capability >= (8, 0)
    if params.precision is Precision.FP8 and card.fp8_flops is None:
        raise InputError(f"training.precision: {card.name} does not multiply 8-bit floats; choose auto or bfloat16")
    if params.precision is Precision.BFLOAT16 and not has_bfloat16:
        raise InputError(f"training.precision: {card.name} has no bfloat16; choose auto, float32 or nf4")
    limit = int(card.free_bytes * USABLE)
    trains_embeddings = params.embedding_learning_rate is not None
    if params.only_trl:
        refused, peft = f"fast does not do {params.only_trl[0]}", "trl"
    if refused is None and not has_bfloat16:
        refused = f"{card.name} has no bfloat16"
    if params.backend in (Backend.TRL, Backend.UNSLOTH):
        refused, peft = f"{params.backend.value} was asked for", params.backend.value
    if refused is None and params.precision is not Precision.NF4:
        planned = _own_loop(shape, params, tokens, card, limit)
        if planned is not None:
            return planned
    if params.backend is not Backend.FAST:
        asked = params.precision
        auto = ("bfloat16" if has_bfloat16 else "float16", "nf4")
        for precision in auto if asked is Precision.AUTO else (asked.value,):
            if precision in WHOLE_BYTES:
                peak = peft_bytes(shape, params.rank, tokens, precision, peft == "unsloth", trains_embeddings)
                if peak <= limit:
                    rate = _rate(shape, params, tokens, card, False, shape.layers) * PEFT_SHARE[peft]
                    why = f"{refused or f'the own loop does not fit {card.name}'}; {peft} with full recompute does"
                    return Plan(peft, precision, shape.layers, tokens, params.batch_size, peak, rate, why)
    smaller = [rank for rank in RANKS if rank < params.rank]
    fitting = [r for r in smaller if peft_bytes(shape, r, tokens, "nf4", peft == "unsloth", trains_embeddings) <= limit]
    largest = max(fitting, default=None)
    remedy = (
        f"training.rank {largest} would fit" if largest else "choose a smaller model, shorter rows or a larger card"
    )
    raise InputError(f"training: rank {params.rank} with rows of {tokens} tokens does not fit {card.name}; {remedy}")


def _own_loop(shape: Shape, params: TrainingParams, tokens: int, card: Card, limit: int) -> Plan | None:
    """The least recompute that fits, with whole micro-batches before single rows."""
    wanted = params.precision is Precision.FP8 or (params.precision is Precision.AUTO and shape.hidden >= FP8_HIDDEN)
    fp8 = card.fp8_flops is not None and wanted and not shape.mlp_only
    budget = max(tokens, 8192)
    for micro in dict.fromkeys((budget, tokens)):
        for recomputed in range(shape.layers + 1):
            peak = fast_bytes(shape, params.rank, micro, fp8, recomputed)
            if peak <= limit:
                rate = _rate(shape, params, tokens, card, fp8, recomputed)
                why = f"the least recompute that fits {card.name}'s {card.free_bytes / GIB:.0f} GiB"
                steps = max(1, -(-params.batch_size * tokens // budget)) if micro == budget else params.batch_size
                return Plan("fast", "fp8" if fp8 else "bfloat16", recomputed, micro, steps, peak, rate, why)
    return None


def _tails(into: int, outs: tuple[int, ...], rank: int) -> int:
    columns = rank * len(outs)
    forward = columns if len(outs) == 1 or columns <= SHARED_TAIL else rank
    return sum(outs) * forward + into * columns


def kept_bytes(shape: Shape, rank: int, fp8: bool) -> int:
    """Bytes per token that a layer keeps for its backward pass."""
    queries, keys = shape.heads * shape.head, shape.kv_heads * shape.head
    kept = 2 * (4 * shape.hidden + queries + 2 * keys + queries) + 4 * shape.heads + 8
    kept += 2 * (3 if shape.mlp_only else 7) * rank + 2 * 2 * shape.inner
    if shape.head_norms:  # q and k before their norms, and the norms' scales
        kept += 2 * (queries + keys) + 4 * (shape.heads + shape.kv_heads)
    if shape.after_norms:
        kept += 2 * (2 * shape.hidden + 4)
    return kept + (shape.inner + rank + 4 if fp8 and rank <= THIN else 0)


def _rate(shape: Shape, params: TrainingParams, tokens: int, card: Card, fp8: bool, recomputed: int) -> float:
    """Tokens per second: operations at achieved rates, element-wise traffic at bandwidth, the optimizer once a step."""
    bf16 = card.bf16_flops * BF16_SHARE
    base = (card.fp8_flops or 0) * FP8_SHARE if fp8 else bf16
    again = 1 + recomputed / shape.layers / 2  # a recomputed layer does its forward products twice
    frozen = 4 * shape.frozen * again / base + 4 * shape.vocabulary * shape.hidden / bf16
    adapter = shape.adapter(params.rank)
    thin = adapter * again * (4 / base + 2 / bf16)
    attention = 7 * tokens * shape.heads * shape.head * shape.layers * again / (card.bf16_flops * ATTENTION_SHARE)
    traffic = shape.layers * (64 * shape.hidden + 24 * shape.inner) / (card.bandwidth * BANDWIDTH_SHARE)
    if params.embedding_learning_rate is not None:  # the output layer's gradient, and its chunks a second time
        frozen += 4 * shape.vocabulary * shape.hidden / bf16
    if params.kl_weight and params.kl_rows is KlRows.ALL:  # forward once more without the adapter
        frozen += 2 * (shape.frozen + 2 * shape.vocabulary * shape.hidden) / bf16
        frozen += 2 * tokens * shape.heads * shape.head * shape.layers / (card.bf16_flops * ATTENTION_SHARE)
    optimizer = 26 * adapter / (card.bandwidth * BANDWIDTH_SHARE) / (params.batch_size * tokens)
    return 1 / (frozen + thin + attention + traffic + optimizer)


def choose(
    params: TrainingParams, shape: Shape | None, tokens: int, card: Card | None, refused: str | None, has_unsloth: bool
) -> Chosen:
    """Which backend trains, in which precision: what was asked for, or the fastest that is possible.

    On a CPU `auto` takes the own loop, else TRL: Unsloth needs longer to start there than it wins (docs/training.md).

    Args:
        params: the recipe.
        shape: of the model; null where it is not Llama-shaped, and nothing can be predicted.
        tokens: of the longest row.
        card: the GPU; null = the CPU.
        refused: why the own loop cannot do it, whatever the memory.
        has_unsloth: whether Unsloth is installed.

    Raises:
        InputError: the backend or precision that is asked for cannot do it, or nothing fits.
    """
    asked, precision = params.backend, params.precision
    if asked is Backend.FAST and refused:
        raise InputError(f"training.backend: fast does not do {refused}; choose auto or trl")
    if card is None and precision is Precision.FP8:
        raise InputError("training.precision: a CPU does not multiply 8-bit floats; choose auto or bfloat16")
    refused = f"fast does not do {refused}" if refused else None
    peft = Backend.UNSLOTH if has_unsloth and card is not None and not params.only_trl else Backend.TRL
    if card is not None and shape is not None:
        planned = plan(shape, params, tokens, card, refused, peft.value)
        if planned.precision == Precision.NF4:
            precision = Precision.NF4
        return Chosen(backend=Backend(planned.backend), precision=precision, because=planned.line())
    if asked is not Backend.AUTO:
        return Chosen(backend=asked, precision=precision, because="asked for")
    if refused is None:
        return Chosen(backend=Backend.FAST, precision=precision, because="the fastest that this model allows")
    return Chosen(backend=peft, precision=precision, because=refused)
