"""The peak memory of some work, in a process of its own: in the tests' process earlier tests would count."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def peak_of(work: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    """What `work` returns, and the bytes that its process took at most. Both must be picklable."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, *arguments).result()


def _measured(work: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    made = work(*arguments)
    return made, _own_peak()


def _own_peak() -> int:
    """Bytes of this program alone: `ru_maxrss` outlives exec, so it would count the process that started this one."""
    status = Path("/proc/self/status").read_text("utf-8")
    return 1024 * int(status.split("VmHWM:", 1)[1].split(None, 1)[0])
