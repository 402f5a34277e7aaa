"""What a child that stays keeps from one job to the next (see `child.staying`).

Standard library only, as `child_main.py`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_held: dict[str, Any] = {}
_stays = False


def held(name: str | None, make: Callable[[], T]) -> T:
    """What an earlier job of this process made under that name, else what `make` makes now.

    One thing at a time is kept, and only by a child that stays; a null name keeps nothing. Whoever takes it gives it
    back as it was made, or fails: a failed job ends its process.
    """
    if name is not None and name in _held:
        kept: T = _held[name]
        return kept
    _held.clear()
    fresh = make()
    if name is not None and _stays:
        _held[name] = fresh
    return fresh


def stay() -> None:
    """From now on things are kept."""
    global _stays
    _stays = True


def release() -> None:
    """Before a job of another kind: what was kept goes, and the accelerator's memory with it."""
    _held.clear()
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
