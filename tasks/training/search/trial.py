"""One trial of a search: as `training/train`, and the held-out loss is measured on the way.

The key bears the resolved recipe and no trial's number, so settings that were tried before are not tried again, in this
search or in another. Writes what `training/train` writes; some lines of loss.jsonl have `held_out` (nats per token by
stream). Each look is a progress event with `held_out_loss`; a listener that raises `Pruned` there ends the trial.
"""

from __future__ import annotations

import json
from typing import Any

from tasks.base.artifacts import Artifact
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.training.params import TrainingParams
from tasks.training.train import VERSION as TRAIN_VERSION
from tasks.training.train import train_in_child
from tasks.training.validation import mean_loss

VERSION = f"{TRAIN_VERSION}+1"


@step("training/trial", VERSION)
def trial(
    run: StepRun, table: Artifact, held_out: Artifact, model: Artifact, params: TrainingParams, looks: int
) -> None:
    """Trains on the table and measures the loss of the held-out rows `looks` times."""
    rows = run.checkout(held_out) / "rows.jsonl"
    train_in_child(run, table, model, params, held_out=rows, looks=looks)


def looked(lines: list[dict[str, Any]]) -> list[float]:
    """Mean held-out losses of a trial, in the order of its looks."""
    return [mean_loss(line["held_out"]) for line in lines if "held_out" in line]


def general_loss(lines: list[dict[str, Any]]) -> float | None:
    """How far the last look's loss on general text is above the base's; null where there is none."""
    return next((float(line["general"]["above_base"]) for line in reversed(lines) if "general" in line), None)


def loss_lines(store: Store, adapter: Artifact) -> list[dict[str, Any]]:
    """The loss log of a trial or training."""
    with store.open(adapter, "loss.jsonl") as reader:
        return [json.loads(line) for line in reader]
