"""What a step's body works with: typed inputs, streaming output, verdicts, counts, progress."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from pydantic_core import from_json

from tasks.base.artifacts import Artifact, Manifest, describe, tree_sha256
from tasks.base.errors import RecordError, StoreError
from tasks.base.ledger import current_ledger
from tasks.base.progress import Event, emit
from tasks.base.records import Record, Verdict
from tasks.base.store import Store

MAX_QUARANTINED_FRACTION: Final = 0.05
"""A step that cannot use more than this share of its records fails: something is wrong with all of them."""

RECORDS: Final = "records.jsonl"
VERDICTS: Final = "verdicts.jsonl"

R = TypeVar("R", bound=Record)


class Lined(Protocol):
    """A record, or what stands for one that is written already."""

    def line(self) -> str:
        """One JSON line without the newline."""
        ...


class StepRun:
    """One execution of a step. Files are written into `folder`; nothing outside sees them before the step returns."""

    def __init__(self, store: Store, step: str, version: str, key: str, folder: Path) -> None:
        self.store = store
        self.step = step
        self.version = version
        self.key = key
        self.folder = folder
        self.resolved: dict[str, Any] = {}
        """What the machine made of the request (backend, micro-batch, …): in the manifest, never in the key."""
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._verdicts: list[Verdict] = []

    def read(self, artifact: Artifact, model: type[R], name: str = RECORDS) -> Iterator[R]:
        """Streams the records of an input, in stored order. The step wrapper has checked the blob's bytes before.

        Raises:
            StoreError: the file is missing or a line is not such a record.
        """
        yield from read_records(self.store, artifact, model, name)

    def read_raw(self, artifact: Artifact, name: str = RECORDS) -> Iterator[dict[str, Any]]:
        """The same as plain JSON values, for those who look at all records and keep few.

        Four times as fast. They were checked when they were written, and the blob's hash says that they are still the
        same.
        """
        with self.store.open(artifact, name) as reader:
            for line in reader:
                yield from_json(line, cache_strings="keys")

    def write(self, records: Iterable[Lined], name: str = RECORDS) -> int:
        """Streams records into a content file and returns how many.

        They are counted under `records`, or under the stem of another file's name.

        Raises:
            RecordError: ids are not strictly ascending, so the file would not be deterministic.
        """
        last = ""
        written = 0
        with (self.folder / name).open("w", encoding="utf-8", newline="\n") as writer:
            for record in records:
                identifier = getattr(record, "id", None)
                if identifier is not None:
                    if identifier <= last and written:
                        raise RecordError(
                            f"{self.step}: record {identifier!r} comes after {last!r} in {name}; ids must ascend"
                        )
                    last = identifier
                writer.write(record.line() + "\n")
                written += 1
        self._counts["records" if name == RECORDS else Path(name).stem] += written
        return written

    def verdict(self, identifier: str, reason: str, detail: str = "") -> None:
        """Notes why something was dropped or changed; counted as `verdict:<reason>`."""
        self._verdicts.append(Verdict(id=identifier, reason=reason, detail=detail))
        self._reasons[reason] += 1

    def quarantine(self, identifier: str, reason: str, detail: str = "") -> None:
        """Notes a record that the step could not use; beyond `MAX_QUARANTINED_FRACTION` of all the step fails."""
        self.verdict(identifier, reason, detail)
        self._counts["quarantined"] += 1

    def count(self, name: str, amount: int = 1) -> None:
        """Adds to a count of the artifact."""
        self._counts[name] += amount

    def path(self, name: str) -> Path:
        """Where a content file of the artifact is to be written; parent folders are made."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def checkout(self, artifact: Artifact) -> Path:
        """An input's content as a local folder, to be read only."""
        return self.store.checkout(artifact)

    def cache(self, *parts: str) -> Path:
        """A folder of this machine that may vanish between runs; results must not depend on it."""
        return self.store.local("cache", *parts)

    def scratch(self) -> AbstractContextManager[Path]:
        """A folder for intermediate files, gone after the block."""
        return self.store.scratch(f"{self.step}/{self.key}.work")

    def progress(self, done: float, total: float | None = None, unit: str = "", **facts: float | int | str) -> None:
        """Tells whoever watches how far the step is."""
        emit(Event(self.step, "progress", done=done, total=total, unit=unit, facts=facts))

    def ledger(self, topic: str, **entry: Any) -> None:
        """Notes money, seconds or losses in the run's ledger; does nothing outside a run."""
        book = current_ledger()
        if book is not None:
            book.add(topic, {"step": self.step, "key": self.key, **entry})

    def finish(self, key_document: dict[str, Any], inputs: dict[str, Any]) -> Manifest:
        """Writes the verdicts, checks the quarantine and describes the content.

        Raises:
            RecordError: more than `MAX_QUARANTINED_FRACTION` of the records were quarantined.
        """
        quarantined, records = self._counts["quarantined"], self._counts["records"]
        if quarantined > MAX_QUARANTINED_FRACTION * (quarantined + records):
            reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(self._reasons.items()))
            raise RecordError(
                f"{self.step}: {quarantined} of {quarantined + records} records cannot be used ({reasons})"
            )
        if self._verdicts:
            self._verdicts.sort(key=lambda verdict: (verdict.id, verdict.reason, verdict.detail))
            with (self.folder / VERDICTS).open("w", encoding="utf-8", newline="\n") as writer:
                writer.writelines(verdict.line() + "\n" for verdict in self._verdicts)
        files = describe(self.folder)
        counts = dict(sorted(self._counts.items())) | {
            f"verdict:{reason}": number for reason, number in sorted(self._reasons.items())
        }
        return Manifest(
            step=self.step,
            version=self.version,
            key=self.key,
            key_document=key_document,
            parameters=key_document["parameters"],
            inputs=inputs,
            counts=counts,
            resolved=self.resolved,
            versions=_versions(),
            sha256=tree_sha256(files),
            files=files,
        )


def read_records(store: Store, artifact: Artifact, model: type[R], name: str = RECORDS) -> Iterator[R]:
    """Streams the records of an artifact's file, in stored order.

    Raises:
        StoreError: the file is missing or a line is not such a record.
    """
    with store.open(artifact, name) as reader:
        for number, line in enumerate(reader, 1):
            try:
                yield model.model_validate_json(line)
            except ValueError as error:
                raise StoreError(f"{artifact.step}: line {number} of {name} is not a {model.__name__}") from error


def read_verdicts(store: Store, artifact: Artifact) -> Iterator[Verdict]:
    """Streams an artifact's verdicts; none if it has no such file."""
    if (store.blob(artifact.sha256) / VERDICTS).exists():
        yield from read_records(store, artifact, Verdict, VERDICTS)


def read_json(store: Store, artifact: Artifact, name: str) -> Any:
    """A JSON content file of an artifact."""
    with store.open(artifact, name) as reader:
        return json.load(reader)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "rawtune": importlib.metadata.version("rawtune")}
