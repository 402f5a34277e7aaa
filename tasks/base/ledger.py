"""The ledger of a run: wall-clock, dollars, GPU seconds and losses.

It is written beside the artifacts, as `ledger/<run>/run.json` (the JSON object that the command line prints) and
`ledger/<run>/<topic>/<n>.json` (entries of a topic such as `spend` or `training`, in order), and never part of a key.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from upath import UPath

from tasks.base.artifacts import Artifact
from tasks.base.files import write_text
from tasks.base.locks import at_work
from tasks.base.store import Store

State = Literal["Completed", "Cached", "Skipped", "Failed"]

logger = logging.getLogger(__name__)


class StepOutcome(BaseModel):
    """How one step of a run ended."""

    model_config = ConfigDict(frozen=True)

    step: str
    state: State
    seconds: float
    artifact: dict[str, Any] | None
    """`uri`, `sha256`, `counts`; null if the step made none."""


class RunReport(BaseModel):
    """The one JSON object that a run prints (see `docs/cli.md`)."""

    run: str
    seconds: float = 0.0
    resolved: dict[str, Any] = Field(default_factory=dict)
    steps: list[StepOutcome] = Field(default_factory=list)
    decision: Literal["allow", "refuse"] | None = None
    scores: dict[str, Any] = Field(default_factory=dict)
    """Suite → arm → {estimate, low, high, items, …}, and `difference` of tuned and base; empty before the report."""
    report: str | None = None
    """Path or URL of the report page."""
    release: str | None = None
    """Path or URL of the release."""


class Ledger:
    """Collects what one run did and writes it beside the artifacts."""

    def __init__(self, store: Store, run: str) -> None:
        self.store = store
        self.report = RunReport(run=run)
        self._entries: dict[str, int] = {}

    def outcome(self, step: str, state: State, seconds: float, artifact: Artifact | None = None) -> None:
        """Notes how a step ended."""
        reference = artifact.model_dump(include={"uri", "sha256", "counts"}) if artifact else None
        self.report.steps.append(StepOutcome(step=step, state=state, seconds=round(seconds, 3), artifact=reference))

    def add(self, topic: str, entry: Mapping[str, Any]) -> None:
        """Writes one entry of a topic, numbered in order; a run that goes on after a stop goes on counting."""
        if topic not in self._entries:
            folder = self.store.root / "ledger" / self.report.run / topic
            self._entries[topic] = len(_names(folder))
        number = self._entries[topic] = self._entries[topic] + 1
        self._write(f"{topic}/{number:06d}.json", dict(entry))

    def close(self, seconds: float) -> RunReport:
        """Writes `run.json` and returns it."""
        self.report.seconds = round(seconds, 3)
        self._write("run.json", self.report.model_dump(mode="json"))
        return self.report

    def _write(self, name: str, document: dict[str, Any]) -> None:
        write_text(self.store.root / "ledger" / self.report.run / name, json.dumps(document, indent=1) + "\n")


def runs(store: Store) -> list[str]:
    """Names of the runs that have a ledger, sorted."""
    folder = store.root / "ledger"
    return sorted(run.name for run in folder.iterdir()) if folder.exists() else []


def read_report(store: Store, run: str) -> RunReport | None:
    """What a run reported at its end; None if it has not, or if the file is not such a report."""
    try:
        return RunReport.model_validate_json((store.root / "ledger" / run / "run.json").read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def read_entries(store: Store, run: str, topic: str | None = None) -> list[dict[str, Any]]:
    """Entries of a run's ledger in the order in which they were written, of one topic or of all.

    A step on its way notes now and then (with `at`) what it has come to; its last entry has the whole, so those are
    left out. What cannot be read is logged and left out.
    """
    folder = store.root / "ledger" / run
    if topic is None:
        topics = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.exists() else []
    else:
        topics = [topic]
    paths = [(folder / name / file).path for name in topics for file in _names(folder / name)]
    contents = store.root.fs.cat(paths) if paths else {}
    entries = []
    for path in paths:
        try:
            entry = json.loads(contents[path])
        except ValueError:
            logger.warning("%s cannot be read; what it says is missing from every sum", path)
            continue
        if "at" not in entry:
            entries.append(entry)
    return entries


def _names(folder: UPath) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".json") if folder.exists() else []


_current: ContextVar[Ledger | None] = ContextVar("rawtune_ledger", default=None)


def current_ledger() -> Ledger | None:
    """The ledger of the run that this code is part of, or None outside a run."""
    return _current.get()


@contextmanager
def ledger(store: Store, run: str) -> Iterator[Ledger]:
    """Opens the ledger of a run for the duration of the block, in which the store is not pruned."""
    book = Ledger(store, run)
    with at_work(store, run):
        token = _current.set(book)
        try:
            yield book
        finally:
            _current.reset(token)
