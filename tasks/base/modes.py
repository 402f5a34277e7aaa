"""What calling a step does besides running it as a Prefect task: only explain it, or run it without Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """Whether a step would be a hit, and if not, which part of its key differs from the last one made."""

    step: str
    hit: bool
    differences: tuple[str, ...] = ()


@contextmanager
def explaining() -> Iterator[list[Explanation]]:
    """Inside the block calling a step runs nothing: it notes whether it would be a hit and why not."""
    explanations: list[Explanation] = []
    token = _explaining.set(explanations)
    try:
        yield explanations
    finally:
        _explaining.reset(token)


@contextmanager
def without_prefect() -> Iterator[None]:
    """Inside the block steps run as plain functions, for commands that are no flow run; keys and artifacts are the
    same.
    """
    token = _without_prefect.set(True)
    try:
        yield
    finally:
        _without_prefect.reset(token)


def explanations() -> list[Explanation] | None:
    """Where a called step is to note its explanation; None if it is to run."""
    return _explaining.get()


def is_without_prefect() -> bool:
    """Whether a called step runs as a plain function."""
    return _without_prefect.get()


_explaining: ContextVar[list[Explanation] | None] = ContextVar("rawtune_explaining", default=None)
_without_prefect: ContextVar[bool] = ContextVar("rawtune_without_prefect", default=False)
