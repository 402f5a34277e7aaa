"""Checkpoints of a run: a folder per saved step, visible only when whole.

    <root>/step-00000040/…          written under another name first, renamed when complete
    <root>/step-00000040/complete.json   names, sizes and hashes of the files, backend, seconds spent; written last

The root is `cache/training/<step key>` of the store. In an object store the parent uploads a finished checkpoint
file by file, `complete.json` last, so that another machine can go on with it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from upath import UPath

from tasks.base.artifacts import file_sha256
from tasks.base.errors import TrainingError
from tasks.base.progress import notice
from tasks.base.store import CHUNK_BYTES

COMPLETE: Final = "complete.json"
KEPT: Final = 2
"""Checkpoints kept: the newest, and one before it in case the newest cannot be read."""
SHORT_RUN_CHECKPOINTS: Final = 8
"""A run has about this many at least, however short it is."""

FULL_BYTES: Final = 1 << 24
"""Less room than this after a write that failed: the disk is full, whatever the library says."""


class Checkpoints:
    """Saves and finds the checkpoints of one run on this machine."""

    def __init__(self, root: Path, minutes: float, steps: int, backend: str = "", writes: bool = True) -> None:
        """Finds what there is.

        Args:
            root: folder of the run.
            minutes: longest time between two checkpoints.
            steps: optimizer steps of the whole run.
            backend: who writes them; another one could not read them.
            writes: False for the processes of a group that only read.
        """
        self.root, self._backend, self._writes = root, backend, writes
        self._seconds = minutes * 60
        self._every = max(1, steps // SHORT_RUN_CHECKPOINTS)
        self._last_time = time.monotonic()
        self._last_step = 0
        root.mkdir(parents=True, exist_ok=True)

    def due(self, step: int) -> bool:
        """Whether the run should save after this step."""
        if not self._writes:
            return False
        return step - self._last_step >= self._every or time.monotonic() - self._last_time >= self._seconds

    def save(self, step: int, seconds: float, write: Callable[[Path], None], pinned: int | None = None) -> Path:
        """Saves one checkpoint atomically and removes all but the newest.

        Args:
            step: optimizer steps done.
            seconds: time that the run has taken.
            write: fills the folder it is given.
            pinned: the checkpoint of this step stays besides; null = none.

        Raises:
            OSError: the disk is full (ENOSPC), also where a library that was writing has no word for it.
        """
        target = self.root / _name(step)
        if not self._writes:
            return target
        partial = self.root / f"partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            write(partial)
        except RuntimeError as error:  # torch.save: "unexpected pos"
            if shutil.disk_usage(partial).free < FULL_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(partial)) from error
            raise
        paths = {str(path.relative_to(partial)): path for path in partial.rglob("*") if path.is_file()}
        files = {name: path.stat().st_size for name, path in paths.items()}
        hashes = {name: file_sha256(path) for name, path in paths.items()}
        document = {"step": step, "seconds": seconds, "backend": self._backend, "pinned": pinned}
        document |= {"files": files, "sha256": hashes}
        (partial / COMPLETE).write_text(json.dumps(document), "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        self.resumed(step)
        for old in whole(self.root)[:-KEPT]:
            if pinned is None or old.name != _name(pinned):
                shutil.rmtree(old, ignore_errors=True)
        return target

    def resumed(self, step: int) -> None:
        """Counts the time to the next checkpoint from here."""
        self._last_step, self._last_time = step, time.monotonic()

    def latest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that holds what was saved, and its `complete.json`.

        Leftovers of interrupted writes are removed.
        """
        for partial in self.root.glob("partial-*") if self._writes else ():
            shutil.rmtree(partial, ignore_errors=True)
        newest = next(filter(_is_unaltered, reversed(whole(self.root))), None)
        return (newest, json.loads((newest / COMPLETE).read_text("utf-8"))) if newest else None

    def at(self, step: int) -> Path:
        """The whole checkpoint of a step.

        Raises:
            TrainingError: it is not there.
        """
        folder = self.root / _name(step)
        if folder not in whole(self.root) or not _is_unaltered(folder):
            raise TrainingError(f"the checkpoint of step {step} is gone or altered; remove {self.root} and run again")
        return folder

    def until(self, step: int) -> Path | None:
        """The newest checkpoint of this step or an earlier one that holds what was saved."""
        earlier = [folder for folder in whole(self.root) if int(folder.name.removeprefix("step-")) <= step]
        return next(filter(_is_unaltered, reversed(earlier)), None)


def _name(step: int) -> str:
    return f"step-{step:08d}"


def whole(root: Path) -> list[Path]:
    """Folders of complete checkpoints whose files have the sizes that they were saved with, oldest first."""
    return [folder for folder in sorted(root.glob("step-*")) if _is_whole(folder)]


def made_by(root: Path) -> str | None:
    """The backend of the newest whole checkpoint, or None."""
    folders = whole(root)
    return json.loads((folders[-1] / COMPLETE).read_text("utf-8")).get("backend") or None if folders else None


def upload(folder: Path, remote: UPath) -> None:
    """Copies a checkpoint to an object store, `complete.json` last, and removes older ones there."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    for name in [name for name in names if name != COMPLETE] + [COMPLETE]:
        target = remote / folder.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK_BYTES)
    here = {one.name for one in whole(folder.parent)} | {folder.name}
    for old in sorted(entry.name for entry in remote.iterdir() if entry.name not in here):
        (remote / old).fs.rm(str((remote / old).path), recursive=True)


def download(remote: UPath, root: Path) -> None:
    """Brings an object store's newest complete checkpoint to this machine, unless it has one as new.

    The one pinned beside it comes too.
    """
    if not remote.exists():
        return
    names = sorted((entry.name for entry in remote.iterdir() if (entry / COMPLETE).exists()), reverse=True)
    if not names or any(folder.name >= names[0] for folder in whole(root)):
        return
    newest = json.loads((remote / names[0] / COMPLETE).read_text("utf-8"))
    if newest.get("pinned") is not None and _name(newest["pinned"]) in names[1:]:
        _bring(remote / _name(newest["pinned"]), root)
    _bring(remote / names[0], root)


def _bring(source: UPath, root: Path) -> None:
    partial = root / "partial-download"
    document = json.loads((source / COMPLETE).read_text("utf-8"))
    size = sum(document["files"].values())
    notice(f"downloads the checkpoint {source.name} of an earlier attempt: {size / 1e9:,.2f} GB")
    for name in [*document["files"], COMPLETE]:
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        with (source / name).open("rb") as reader, (partial / name).open("wb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK_BYTES)
    partial.rename(root / source.name)


def _is_whole(folder: Path) -> bool:
    try:
        document = json.loads((folder / COMPLETE).read_text("utf-8"))
        return all((folder / name).stat().st_size == size for name, size in document["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def _is_unaltered(folder: Path) -> bool:
    """Whether a whole checkpoint's files are the bytes that were saved; the disk may have changed them since."""
    hashes = json.loads((folder / COMPLETE).read_text("utf-8")).get("sha256", {})
    altered = [name for name, digest in hashes.items() if file_sha256(folder / name) != digest]
    if altered or not hashes:
        notice(
            f"leaves the checkpoint {folder.name} alone: {altered[0] if altered else COMPLETE} is not what was saved"
        )
    return bool(hashes) and not altered
