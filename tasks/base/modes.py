"""What calling a step does besides running it as a Prefect task: only explain it, or run it without Prefect.

An explanation says whether a step would be a hit and, if not, what is missing or which part of its key differs from
the last one made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tasks.base.artifacts import Manifest
from tasks.base.store import Store


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


def why_missed(store: Store, document: dict[str, Any], manifest: Manifest | None) -> tuple[str, ...]:
    """One line per reason.

    Args:
        store: where the step's artifact was looked for.
        document: the key document of the step that is to run.
        manifest: what the store has under that key, with a blob that is not whole; null if it has nothing.
    """
    if manifest is not None:
        return ("its artifact is missing or has wrong bytes",)
    last = next(store.manifests(document["step"]), None)
    if last is None:
        return ("never run in this store",)
    return tuple(_differences(last.key_document, document))


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield f"{path}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) and len(value) == 64 else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
