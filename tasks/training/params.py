"""The recipe of a training run, and how it is executed."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, model_validator

from tasks.base.params import EXECUTION
from tasks.model.params import BaseModelParams

LINEARS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Every linear layer of a Llama-shaped decoder layer; the article trains all of them."""


class Backend(StrEnum):
    """Which trainer does the work."""

    AUTO = "auto"
    """`fast` where the model's shape allows it, else `trl`."""
    TRL = "trl"
    """TRL's SFTTrainer with PEFT: every model that transformers knows."""
    UNSLOTH = "unsloth"
    """Unsloth in its own environment."""
    FAST = "fast"
    """rawtune's own loop: frozen products in FP8 where the card has it, LoRA added in place, no recompute that
    memory does not ask for.
    """


class Precision(StrEnum):
    """What the frozen base is multiplied in."""

    AUTO = "auto"
    """FP8 on cards that have it (with `fast`), else bfloat16 where the hardware multiplies it, else float32."""
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FP8 = "fp8"
    """Row-wise scaled 8-bit floats, both directions; the adapter stays in bfloat16."""
    NF4 = "nf4"
    """4-bit base: less memory, not more speed."""


class Schedule(StrEnum):
    """How the learning rate falls after warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


class TrainingParams(BaseModelParams):
    """The model and its recipe. The defaults are the article's; `presets/researched.yaml` has the ones that taught
    more.
    """

    backend: Backend = Backend.AUTO
    """Which trainer does the work: `auto`, `trl`, `unsloth` or `fast`."""
    rank: int = Field(768, ge=1, le=4096)
    """Rank of the adapter's matrices. More learns and costs more; vLLM serves adapters up to 512."""
    alpha: float = Field(768, gt=0)
    """Adapter scale: its output is multiplied by alpha / rank (alpha / sqrt(rank) with `rslora`)."""
    rslora: bool = False
    """Scale by the root of the rank, which keeps high ranks from learning slower."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the adapter; 0 is the fast path."""
    targets: tuple[str, ...] = Field(LINEARS, min_length=1)
    """Names of the linear layers that get an adapter."""
    batch_size: int = Field(1, ge=1, le=4096)
    """Rows per optimizer step; how many are computed at a time is the planner's business."""
    learning_rate: float = Field(2.0e-5, gt=0, le=1)
    """Peak learning rate of the adapter."""
    schedule: Schedule = Schedule.COSINE
    """How the learning rate falls: `cosine` or `linear` to 0, or `constant`."""
    warmup_fraction: float = Field(0.0, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """AdamW's decoupled decay of the adapter."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this norm."""
    epochs: int = Field(3, ge=1, le=1000)
    """How often every row is seen; rows are shuffled anew in each."""
    seed: int = Field(42, ge=0)
    """Decides the adapter's start and the order of the rows."""
    precision: Precision = Precision.AUTO
    """What the frozen base is multiplied in: `auto`, `float32`, `bfloat16`, `fp8` or `nf4`."""
    checkpoint_minutes: Annotated[float, Field(ge=0), EXECUTION] = 5.0
    """Longest time between two checkpoints; short runs make one every few steps besides."""
    max_hours: Annotated[float | None, Field(gt=0), EXECUTION] = 4
    """Training stops, with a checkpoint, when it has taken this long; null = no limit."""
    max_usd: Annotated[float | None, Field(gt=0), EXECUTION] = 15
    """Training stops, with a checkpoint, when it has cost this much; null = no limit."""
    usd_per_hour: Annotated[float, Field(ge=0), EXECUTION] = 0.0
    """What the machine costs."""

    @model_validator(mode="after")
    def _checks(self) -> TrainingParams:
        if self.precision is Precision.FP8 and self.backend in (Backend.TRL, Backend.UNSLOTH):
            raise ValueError(f"precision fp8 needs backend fast or auto, not {self.backend.value}")
        if self.precision is Precision.NF4:
            raise ValueError("precision nf4 needs the unsloth backend, which this version does not have")
        return self

    @property
    def scale(self) -> float:
        """Factor of the adapter's output."""
        return float(self.alpha / self.rank**0.5) if self.rslora else float(self.alpha / self.rank)
