"""Flows for drills of workers: they beat, they remember, and they need no GPU and no model."""

from __future__ import annotations

import os
import time
from pathlib import Path

from prefect import flow


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
