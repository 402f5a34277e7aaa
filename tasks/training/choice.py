"""Which backend trains, in which precision: what was asked for, or the fastest that model and machine allow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tasks.base.errors import InputError
from tasks.training.params import Backend, Precision, TrainingParams
from tasks.training.planner import Card, Shape, plan


@dataclass(frozen=True)
class Choice:
    """What trains, and why."""

    backend: Backend
    precision: Precision
    because: str

    def document(self) -> dict[str, Any]:
        """As JSON values, for the child that goes on with it."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Choice:
        """The reverse of `document`."""
        return cls(Backend(document["backend"]), Precision(document["precision"]), document["because"])


def choose(
    params: TrainingParams, shape: Shape | None, tokens: int, card: Card | None, refused: str | None, has_unsloth: bool
) -> Choice:
    """Chooses.

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
        made = plan(shape, params, tokens, card, refused, peft.value)
        if made.precision == Precision.NF4:
            precision = Precision.NF4
        return Choice(Backend(made.backend), precision, made.line())
    if asked is not Backend.AUTO:
        return Choice(asked, precision, "asked for")
    if refused is None:
        return Choice(Backend.FAST, precision, "the fastest that this model allows")
    return Choice(peft, precision, refused)
