"""Hours, memory and dollars of a training before it begins, and hours of a model's writing.

Training is the planner's choice times the table's tokens. In writing, prompts are bound by arithmetic and new tokens by
reading the weights once for each step.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from tasks.base.errors import InputError
from tasks.training.params import KlRows, TrainingParams
from tasks.training.plan.cards import CARDS, Card
from tasks.training.plan.planner import plan
from tasks.training.plan.shape import Shape
from tasks.training.table import optimizer_steps

CPU_RATE: Final = 165 * 134.5e6
"""Tokens per second times parameters on two cores that multiply bfloat16 (SmolLM2-135M, rows of 512 tokens, TRL:
165 tokens/s measured). Other CPUs differ by several times.
"""
KL_SHARE: Final = 2 / 3
"""Of that rate is left where every row goes through the base as well: a third forward pass beside forward and
backward, which cost as much as each other where weights get no gradient.
"""
CPU_DOUBT: Final = 3.0
"""CPUs differ by about this factor from the one that was measured: only what exceeds a limit by more is refused."""
PROMPT_SHARE: Final = 0.4
"""Of the peak rate that reading prompts reaches; a guess of ours."""
ROWS: Final = 256
"""Texts that are written together; a guess of ours, memory decides."""
STEP_SHARE: Final = 0.1
"""Of the memory's bandwidth that a step reaches; a guess of ours."""
CPU_SHARE: Final = 3.0
"""A forward pass alone is a third of the training that `CPU_RATE` was measured with."""


class Forecast(BaseModel):
    """What a training will take. Times are those of the training loop, without installing, loading and answering."""

    model_config = ConfigDict(frozen=True)

    machine: str
    backend: str | None
    """Null where the planner does not decide: on a CPU."""
    precision: str | None
    recompute_layers: int | None
    micro_batch_tokens: int | None
    accumulation: int | None
    """Micro-batches per optimizer step."""
    peak_bytes: int | None
    free_bytes: int | None
    because: str
    tokens: int
    """Of all epochs."""
    steps: int
    tokens_per_second: float
    hours: float
    usd_per_hour: float | None
    """Null: nobody has named a price."""
    usd: float | None
    max_hours: float | None
    max_usd: float | None
    exceeds: tuple[str, ...]
    """Limits that stop the training before its end, with a checkpoint."""
    refusal: str | None
    """Why no run begins it; null = it may begin. A CPU is refused what it cannot finish, with what would fit."""


def forecast(
    shape: Shape,
    params: TrainingParams,
    tokens: int,
    rows: int,
    longest_row: int,
    card: Card | None,
    usd_per_hour: float | None,
) -> Forecast:
    """Plans a training.

    Args:
        shape: the model.
        params: the recipe.
        tokens: of one epoch.
        rows: of the table.
        longest_row: in tokens.
        card: the GPU; None = the CPU.
        usd_per_hour: its price; None = not known.

    Raises:
        InputError: the recipe does not fit the card.
    """
    planned = plan(shape, params, longest_row, card) if card else None
    rate = planned.tokens_per_second if planned else CPU_RATE / (shape.frozen + shape.vocabulary_parameters)
    if not card and params.kl_weight and params.kl_rows is KlRows.ALL:
        rate *= KL_SHARE
    trained = tokens * params.epochs
    hours = trained / rate / 3600
    usd = None if usd_per_hour is None else hours * usd_per_hour
    exceeds = []
    if params.max_hours is not None and hours > params.max_hours:
        exceeds.append(f"training.max_hours {params.max_hours:g}")
    if params.max_usd is not None and usd is not None and usd > params.max_usd:
        exceeds.append(f"training.max_usd {params.max_usd:g}")
    return Forecast(
        machine=card.name if card else "CPU",
        backend=planned.backend if planned else None,
        precision=planned.precision if planned else None,
        recompute_layers=planned.recompute_layers if planned else None,
        micro_batch_tokens=planned.micro_batch_tokens if planned else None,
        accumulation=planned.accumulation if planned else None,
        peak_bytes=planned.peak_bytes if planned else None,
        free_bytes=card.free_bytes if card else None,
        because=planned.because if planned else "measured on two cores that multiply bfloat16; other CPUs differ",
        tokens=trained,
        steps=optimizer_steps(rows, params.epochs, params.batch_size),
        tokens_per_second=rate,
        hours=hours,
        usd_per_hour=usd_per_hour,
        usd=usd,
        max_hours=params.max_hours,
        max_usd=params.max_usd,
        exceeds=tuple(exceeds),
        refusal=None if card else _refusal(shape, params, trained, longest_row, hours),
    )


def refuse_hopeless(made: Forecast) -> None:
    """Ends a run before anything is downloaded or trained that could not come to its end.

    Raises:
        InputError: a CPU would need far longer than the limit.
    """
    if made.refusal:
        raise InputError(made.refusal)


def _refusal(shape: Shape, params: TrainingParams, tokens: int, longest_row: int, hours: float) -> str | None:
    """Of a CPU: null if the training ends within `CPU_DOUBT` times the limit."""
    if params.max_hours is None or hours <= CPU_DOUBT * params.max_hours:
        return None
    largest = CPU_RATE * 3600 * params.max_hours / tokens
    fitting = [text for name, card in CARDS.items() if (text := _on(name, card, shape, params, tokens, longest_row))]
    remedies = [
        f"a GPU ({', '.join(fitting)})" if fitting else "",
        f"a model of up to {largest / 1e6:,.0f} million parameters (this one has "
        f"{(shape.frozen + shape.vocabulary_parameters) / 1e6:,.0f})",
        "fewer tokens (dataset.train_tokens)",
        "training.max_hours null for a machine that is much faster",
    ]
    return (
        f"training.max_hours: about {hours:,.0f} hours without a GPU, {params.max_hours:g} allowed; what would fit: "
        + ", ".join(filter(None, remedies))
    )


def _on(name: str, card: Card, shape: Shape, params: TrainingParams, tokens: int, longest_row: int) -> str | None:
    """How long a card would take, if the recipe fits it and its limit."""
    try:
        hours = tokens / plan(shape, params, longest_row, card).tokens_per_second / 3600
    except InputError:  # it does not fit this card
        return None
    return f"{name} {hours:.1f} h" if params.max_hours is None or hours <= params.max_hours else None


def writing_hours(shape: Shape, prompt_tokens: int, new_tokens: int, card: Card | None) -> float:
    """Hours for prompts and new tokens, nobody else on the machine; unmeasured on a GPU.

    Args:
        shape: the model that writes.
        prompt_tokens: that are read.
        new_tokens: that are written.
        card: the GPU; None = the CPU.
    """
    parameters = shape.frozen + shape.vocabulary_parameters
    if card is None:
        return (prompt_tokens + new_tokens) * parameters / (CPU_RATE * CPU_SHARE) / 3600
    reading = 2 * parameters * prompt_tokens / (card.bf16_flops * PROMPT_SHARE)
    writing = 2 * parameters * new_tokens / ROWS / (card.bandwidth * STEP_SHARE)
    return (reading + writing) / 3600
