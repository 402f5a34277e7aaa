"""Event files for TensorBoard, written by the child while it trains: every step's loss, losses by source, learning
rate, gradient norm, tokens per second, MFU, remaining seconds, dollars, and the held-out losses of a search's trials.

They lie in the ledger (`ledger/tensorboard/<run>/<first 8 of the step's key>/`), never in an artifact: they hold
wall-clock. `tensorboard --logdir STORE/ledger/tensorboard` shows all runs.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from tasks.base.ledger import current_ledger
from tasks.base.runs import StepRun
from tasks.model.child_main import Report


class EventFolder:
    """Where the parent has the files written: the ledger of a local store, else a folder of this machine whose files
    `keep` copies to the ledger.
    """

    def __init__(self, run: StepRun) -> None:
        book = current_ledger()
        self.path: Path | None = None
        """None outside a run, which has no ledger."""
        if book is not None:
            place = ("ledger", "tensorboard", book.report.run, run.key[:8])
            self.path = run.store.local(*place)
            self._remote = None if run.store.is_local else run.store.root.joinpath(*place)

    def keep(self) -> None:
        """Copies what there is to the ledger of an object store; does nothing for a local one."""
        if self.path is None or self._remote is None:
            return
        for file in sorted(self.path.iterdir()):
            with file.open("rb") as reader, (self._remote / file.name).open("wb") as writer:
                shutil.copyfileobj(reader, writer)


def with_event_files(report: Report, folder: Path | None) -> Report:
    """The same report that also writes the numbers of steps and looks to `folder`; None = the same report."""
    if folder is None:
        return report
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary
    except ImportError:  # Unsloth's environment is its own
        report({"kind": "note", "text": "no event files: this environment has no tensorboardX"})
        return report
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventsWriter(str(folder / "events"))  # not SummaryWriter, whose thread would die with the child, unflushed

    def write(event: dict[str, Any]) -> None:
        if event["kind"] in ("step", "look"):
            values = [
                Summary.Value(tag=tag(name), simple_value=value)
                for name, value in event["facts"].items()
                if isinstance(value, int | float)
            ]
            writer.write_event(Event(wall_time=time.time(), step=event["done"], summary=Summary(value=values)))
            writer.flush()
        report(event)

    return write


def tag(fact: str) -> str:
    """A fact's name in TensorBoard: losses share a group, one chart per source."""
    if fact == "loss":
        return "loss/all"
    return f"loss/{fact.removeprefix('loss ')}" if fact.startswith("loss ") else f"training/{fact}"
