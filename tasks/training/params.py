"""The recipe of a training run, how it is executed, and the request that brings both to the child.

Imports no torch, so that whoever asks need not either.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, model_validator

from tasks.base.params import EXECUTION, Params
from tasks.model.params import BaseModelParams
from tasks.model.request import Request

MLP_LINEARS: Final = ("gate_proj", "up_proj", "down_proj")
LINEARS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", *MLP_LINEARS)
"""Every linear layer of a Llama-shaped decoder layer; the article trains all of them."""


class Layers(StrEnum):
    """Which linear layers get an adapter."""

    ALL = "all"
    """All of a decoder layer."""
    MLP = "mlp"
    """Those of its MLP: in PEFT's comparison on MetaMathQA less is forgotten at equal accuracy
    (https://github.com/huggingface/peft/tree/main/method_comparison).
    """


class Backend(StrEnum):
    """Which trainer does the work."""

    AUTO = "auto"
    """The fastest that the model's shape and the machine allow: `fast`, `unsloth` where it is installed, `trl`."""
    TRL = "trl"
    """TRL's SFTTrainer with PEFT: every model that transformers knows."""
    UNSLOTH = "unsloth"
    """Unsloth's model and kernels under TRL's trainer; must be installed (`make setup-unsloth`, or the extra `gpu`)."""
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
    """4-bit base (bitsandbytes, with `trl` or `unsloth`): less memory, not more speed."""


class Schedule(StrEnum):
    """How the learning rate falls after warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"

    def factor(self, step: int, steps: int, warmup_fraction: float) -> float:
        """What the peak learning rate is multiplied by in a step.

        Linear rise over the first `ceil(steps * warmup_fraction)` steps, then 1, or a line or half a cosine from 1 to 0
        (as transformers' schedulers of these names do, but that they begin the rise at 0: a step that changes nothing).

        Args:
            step: 0 for the first.
            steps: of the whole run.
            warmup_fraction: share of the steps with a rising rate.
        """
        warmup = math.ceil(steps * warmup_fraction)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1, steps - warmup)
        if self is Schedule.COSINE:
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * done)))
        if self is Schedule.LINEAR:
            return max(0.0, 1.0 - done)
        return 1.0


class KlRows(StrEnum):
    """Which tokens are held near the base."""

    REPLAY = "replay"
    """Those of the replay stream (`dataset.replay`), which are there against forgetting."""
    ALL = "all"
    """Every token under the loss."""


class TrainingParams(BaseModelParams):
    """The model and its recipe.

    The defaults lie near what taught most in the real runs (docs/results.md, SmolLM2-135M). The article's own values
    stand in `presets/article.yaml`.
    """

    backend: Backend = Backend.AUTO
    """Which trainer does the work: `auto`, `trl`, `unsloth` or `fast`."""
    rank: int = Field(256, ge=1, le=4096)
    """Rank of the adapter's matrices. More learns and costs more; vLLM serves adapters up to 512."""
    alpha: float = Field(256, gt=0)
    """Adapter scale: its output is multiplied by alpha / rank (alpha / sqrt(rank) with `rslora`)."""
    rslora: bool = False
    """Scale by the root of the rank, which keeps high ranks from learning slower."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the adapter; 0 is the fast path."""
    layers: Layers = Layers.ALL
    """Which linear layers get an adapter: `all` of a decoder layer, or those of its `mlp`."""
    targets: tuple[str, ...] | None = Field(None, min_length=1)
    """Names of the linear layers that get an adapter, for a model that calls them otherwise than Llama; null = as
    `layers` says.
    """
    batch_size: int = Field(16, ge=1, le=4096)
    """Rows per optimizer step; how many are computed at a time is the planner's business."""
    learning_rate: float = Field(5.0e-4, gt=0, le=1)
    """Peak learning rate of the adapter. The default suits 135 million parameters; larger models want less, as
    (576 / hidden size)^0.78 says (`presets/researched.yaml`): 1.1e-4 at 7 billion.
    """
    embedding_learning_rate: float | None = Field(None, gt=0, le=1)
    """Peak learning rate of embedding and output layer, which are then trained whole and saved in the adapter (a fifth
    to a tenth of `learning_rate` is usual; backend `trl`). Null = they stay as the base has them.
    """
    schedule: Schedule = Schedule.COSINE
    """How the learning rate falls: `cosine` or `linear` to 0, or `constant`."""
    warmup_fraction: float = Field(0.03, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """AdamW's decoupled decay of the adapter."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this norm."""
    kl_weight: float = Field(0.0, ge=0, le=1000)
    """Against forgetting: a token's divergence from the base, KL(base ‖ tuned) in nats, is added this many times to its
    loss (backend `trl`; costs another forward pass of the rows in question). 0 = none.
    """
    kl_rows: KlRows = KlRows.REPLAY
    """Where `kl_weight` applies: `replay` or `all`."""
    max_general_loss: float | None = Field(0.05, gt=0)
    """Against forgetting: how far, in nats per token, the loss on general text may be above the base's. The adapter is
    the one of the last look that was within it, and training stops once it is exceeded ten times. Null = the last
    adapter, whatever it forgot.
    """
    general_looks: int = Field(5, ge=0, le=100)
    """How often that loss is measured on the way, and the divergence from the base where the replay has samples for
    it; costs about 3% of the time. 0 = never.
    """
    epochs: int = Field(1, ge=1, le=1000)
    """How often every row of the table is seen; rows are shuffled again in each. More than one only without a replay of
    samples; `dataset.mixture.passes` says how often a text stands in the table.
    """
    seed: int = Field(42, ge=0)
    """Decides the adapter's start and the order of the rows."""
    precision: Precision = Precision.AUTO
    """What the frozen base is multiplied in: `auto`, `float32`, `bfloat16`, `fp8` or `nf4`."""
    devices: Annotated[int | None, Field(ge=1, le=64), EXECUTION] = None
    """GPUs of the machine that train together, each on its share of a step's rows; no more than divide `batch_size`.
    Null = all that there are.
    """
    shard_base: Annotated[bool, EXECUTION] = False
    """Split the frozen base over the GPUs that train together (FSDP), for one that does not fit a single GPU; backend
    `trl`.
    """
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
        if self.precision is Precision.NF4 and self.backend is Backend.FAST:
            raise ValueError("precision nf4 needs backend trl, unsloth or auto, not fast")
        if self.shard_base and self.backend in (Backend.FAST, Backend.UNSLOTH):
            raise ValueError(f"shard_base needs backend trl or auto, not {self.backend.value}")
        if self.shard_base and self.precision in (Precision.NF4, Precision.FP8):
            raise ValueError(f"shard_base splits a base of 16 or 32 bits, not {self.precision.value}")
        if self.layers is Layers.MLP and self.targets:
            raise ValueError("layers and targets both say which layers get an adapter; give one of them")
        if self.layers is Layers.MLP and self.precision is Precision.FP8:
            raise ValueError("layers mlp does not go with precision fp8; choose auto or bfloat16")
        if self.max_general_loss is not None and not self.general_looks:
            raise ValueError("max_general_loss needs general_looks above 0; or set it to null")
        for name in self.only_trl:
            if self.backend in (Backend.FAST, Backend.UNSLOTH):
                raise ValueError(f"{name} needs backend trl or auto, not {self.backend.value}")
            if self.shard_base:
                raise ValueError(f"{name} does not go with shard_base")
        return self

    @property
    def only_trl(self) -> tuple[str, ...]:
        """Names of the fields in use that the backend `trl` alone knows."""
        asked = {"embedding_learning_rate": self.embedding_learning_rate is not None, "kl_weight": self.kl_weight > 0}
        return tuple(name for name, used in asked.items() if used)

    @property
    def linears(self) -> tuple[str, ...]:
        """Names of the linear layers that get an adapter."""
        return self.targets or (MLP_LINEARS if self.layers is Layers.MLP else LINEARS)

    @property
    def mlp_only(self) -> bool:
        """Whether attention has no adapter."""
        return set(self.linears) == set(MLP_LINEARS)

    @property
    def scale(self) -> float:
        """Factor of the adapter's output."""
        return float(self.alpha / self.rank**0.5) if self.rslora else float(self.alpha / self.rank)


class Sampler(StrEnum):
    """Which settings a search tries next."""

    TPE = "tpe"
    """Optuna's tree-structured Parzen estimator, which learns from the trials before."""
    GRID = "grid"
    """Every combination of the values given, in an order drawn by the seed."""


class Pruning(StrEnum):
    """Which trials are ended early."""

    NONE = "none"
    """None: every trial runs to its end."""
    MEDIAN = "median"
    """Those whose held-out loss is worse than the median of the earlier trials at the same point."""
    HALVING = "halving"
    """All but the best third at each rung of successive halving."""


class Objective(StrEnum):
    """What makes one trial better than another."""

    HELD_OUT_LOSS = "held-out-loss"
    """Loss on documents that were not trained on: mean of answers and raw text, in nats per token; lower is better."""
    RECALL = "recall"
    """Share of the recall questions that the trial's model answers rightly; higher is better, and slower to measure."""


class SearchParams(Params):
    """Which training settings `search-hyperparameters` tries, and how it chooses; an empty list leaves the value of
    the section `training`. Nothing else reads this section.
    """

    sampler: Sampler = Sampler.TPE
    """How the next settings are chosen: `tpe` or `grid`."""
    trials: Annotated[int, EXECUTION] = Field(12, ge=1, le=10_000)
    """Settings to try, pruned and failed ones included; a larger number later continues the same search."""
    objective: Objective = Objective.HELD_OUT_LOSS
    """What makes a trial the better one: `held-out-loss` or `recall`."""
    rank: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (512, 768, 2048)
    """Ranks to try."""
    alpha_ratio: tuple[Annotated[float, Field(gt=0, le=100)], ...] = (1.0, 1.5, 2.0)
    """Alphas to try, as multiples of the rank."""
    batch_size: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (1, 2, 4)
    """Rows per optimizer step to try."""
    learning_rate: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """Learning rates to try; `tpe` takes any between the smallest and the largest, evenly in the logarithm."""
    epochs: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = ()
    """Numbers of epochs to try."""
    pruning: Pruning = Pruning.MEDIAN
    """Which trials are ended early: `none`, `median` or `halving`."""
    looks: int = Field(8, ge=1, le=100)
    """How often a trial's held-out loss is measured; after each a trial may be ended."""
    startup_trials: int = Field(4, ge=1)
    """This many trials are drawn at random and run to their end before any is compared."""
    search_seed: int = Field(0, ge=0)
    """Decides what is drawn; the same seed and results give the same trials again."""
    max_hours: Annotated[float | None, Field(gt=0), EXECUTION] = 24
    """No trial begins once the trials have taken this long; null = no limit. Each also has the limits of `training`."""
    max_usd: Annotated[float | None, Field(gt=0), EXECUTION] = 60
    """No trial begins once the trials have cost this much; null = no limit."""
    storage: Annotated[str | None, EXECUTION] = None
    """Where Optuna keeps the study: null = an SQLite file in the store's cache, else an SQLAlchemy address such as
    `postgresql+psycopg://user@host/optuna`, its password from PGPASSWORD or ~/.pgpass.
    """

    @model_validator(mode="after")
    def _has_something_to_choose(self) -> SearchParams:
        if self.grid_size == 1:
            raise ValueError("a search needs a list with two values or more")
        if self.storage and re.search(r"//[^/@]*:[^/@]*@", self.storage):
            raise ValueError("storage: leave the password out and set PGPASSWORD")
        return self

    @property
    def lists(self) -> dict[str, tuple[float, ...]]:
        """The values to try by name, without empty lists."""
        names = ("rank", "alpha_ratio", "batch_size", "learning_rate", "epochs")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def grid_size(self) -> int:
        """Combinations of the values given."""
        return math.prod(len(set(values)) for values in self.lists.values())


class Chosen(Request):
    """A choice of backend that has been made."""

    backend: Backend
    precision: Precision
    because: str


class TrainingRequest(Request):
    """An adapter to be trained: `tasks.training.job:run`."""

    table: Path
    model: Path
    params: TrainingParams
    base_name: str
    """What the adapter says its base is."""
    checkpoints: Path
    out: Path
    """Gets adapter_model.safetensors, adapter_config.json and loss.jsonl."""
    events: Path | None = None
    """Folder for TensorBoard's files; null = none are written."""
    has_unsloth: bool = False
    """Whether it could take over."""
    choice: Chosen | None = None
    """Null = the job chooses."""
    held_out: Path | None = None
    """Rows as JSON lines whose loss a trial measures on the way; null = none."""
    looks: int = 0
    """How often."""
    general: Path | None = None
    """Rows of general text, and of samples of the base, as JSON lines; null = none are looked at."""
    general_looks: int = 0
    """How often."""
