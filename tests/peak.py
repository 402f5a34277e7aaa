"""The peak memory of some work, in a process of its own: in the tests' process earlier tests would count."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def peak_of(work: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    """What `work` returns, and the bytes that its process took at most. Both must be picklable."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, *arguments).result()


def _measured(work: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    made = work(*arguments)
    return made, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
