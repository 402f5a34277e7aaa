"""Flows for drills of workers: they beat, they remember, and they need no GPU and no model."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from prefect import flow

from flows.compute import run_deployed
from tasks.base.store import Store
from tasks.training.params import TrainingParams


@flow(name="beating")
def beating(folder: str, beats: int, seconds: float = 0.3) -> int:
    """Writes one numbered file per beat and goes on where an earlier attempt left off, like training does."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    first = len(list(place.glob("beat-*")))
    (place / f"attempt-{time.time_ns()}").write_text(f"from {first} at {os.environ.get('RAWTUNE_USD_PER_HOUR')}")
    for beat in range(first, beats):
        (place / f"beat-{beat:04d}").touch()
        time.sleep(seconds)
    return beats


@flow(name="train-adapter")
def standing_in(store: str, data: Any, training: Any, evaluation: Any = None) -> None:
    """Stands in for training: does what the next line of `behaviour` in the store says, then forgets it."""
    plan = Path(store) / "behaviour"
    word, _, rest = plan.read_text("utf-8").partition("\n")
    plan.write_text(rest, "utf-8")
    if word == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "fail":
        raise ValueError("loss is not finite")
    if word == "wait":
        time.sleep(600)
    time.sleep(1)
    (Path(store) / f"made-{data}").touch()


@flow(name="handing-over")
def handing_over(store: str, pool: str, key: str) -> None:
    """A parent that hands training over and does nothing else."""
    run_deployed(
        f"train-adapter/{pool}",
        Store(store),
        {"store": store, "data": key, "training": None},
        TrainingParams(),
        key,
        lambda: (Path(store) / f"made-{key}").exists(),
    )
