"""Progress events: steps emit them, the command line's bars and Prefect's progress artifacts listen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Event:
    """Something a person may want to see while a step runs."""

    step: str
    """`room/name`."""
    kind: Literal["started", "progress", "notice", "finished"]
    state: str = ""
    """Of a finished step: Completed, Cached, Skipped or Failed."""
    done: float = 0
    total: float | None = None
    unit: str = ""
    facts: dict[str, float | int | str] = field(default_factory=dict)
    """What to show beside the bar, such as loss or tokens per second."""
    text: str = ""
    """Of a notice: what the step is waiting for, fetching, or going on with. It holds until the step's next event. Of a
    finished step: what it made.
    """


Listener = Callable[[Event], None]

_listeners: list[Listener] = []
_step: ContextVar[str] = ContextVar("step", default="")

logger = logging.getLogger(__name__)


def emit(event: Event) -> None:
    """Hands the event to every listener of this process."""
    for listener in tuple(_listeners):
        listener(event)


def notice(text: str) -> None:
    """Says in one line why the running step takes its time: what it waits for, fetches or resumes."""
    logger.info("%s: %s", _step.get() or "rawtune", text)
    emit(Event(_step.get(), "notice", text=text))


@contextmanager
def inside(step: str) -> Iterator[None]:
    """Notices of the block are that step's."""
    token = _step.set(step)
    try:
        yield
    finally:
        _step.reset(token)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Registers a listener for the duration of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
