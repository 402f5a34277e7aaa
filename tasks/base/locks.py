"""Locks that die with their holder: one running step per key, one torch job per machine.

A local store uses `flock`, which the kernel frees when the process dies. An object store uses a lease: an object
created by conditional put, changed by a heartbeat, taken over by conditional replace by whoever has seen it unchanged
for `LEASE_SECONDS` of their own monotonic clock. No two clocks are ever compared, so a wrong one takes nothing over.
(Prefect's FileSystemLockManager never expires and fails on keys with slashes, prefect 3.8.8.)
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from upath import UPath

from tasks.base.errors import StoreError
from tasks.base.progress import notice
from tasks.base.store import Store

LEASE_SECONDS: Final = 60.0
"""A lease that does not change for this long belongs to a dead holder."""
POLL_SECONDS: Final = 0.2
"""Between two tries of a lock of this machine."""
LEASE_POLL_SECONDS: Final = 1.0
"""Between two tries of a lease."""

PRUNING: Final = "prune"
"""Name of the lock that whoever prunes a store holds, and whoever begins a run holds for a moment."""

RUN: Final = "run--"
"""Begins the names of the locks that runs hold while they are at work."""

logger = logging.getLogger(__name__)

_memory_locks: dict[str, threading.Lock] = {}
_memory_guard = threading.Lock()


@contextmanager
def hold(store: Store, name: str, lease_seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Holds the store's lock of that name, waiting as long as a living process has it.

    Args:
        store: decides the mechanism: `flock` (local), lease (object store), thread lock (memory).
        name: slashes allowed; equal names exclude each other.
        lease_seconds: after which a lease that does not change is taken over; four heartbeats fit into it.
    """
    flat = name.replace("/", "--")
    if store.is_local:
        with flock(store.local("locks") / f"{flat}.lock"):
            yield
    elif store.root.protocol == "memory":
        with _memory_guard:
            lock = _memory_locks.setdefault(f"{store.uri}/{flat}", threading.Lock())
        with lock:
            yield
    else:
        with _lease(store.root / "locks" / f"{flat}.json", lease_seconds):
            yield


@contextmanager
def at_work(store: Store, run: str, lease_seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Shows inside the block that a run is at work in the store, so that nobody prunes it meanwhile.

    While somebody prunes it, this waits. `lease_seconds` is what `runs_at_work` is asked with.
    """
    name = f"{RUN}{run.replace('/', '--')}--{uuid.uuid4().hex[:8]}"
    with ExitStack() as shown:
        with hold(store, PRUNING):
            shown.enter_context(hold(store, name, lease_seconds=lease_seconds))
        yield
    if store.is_local:
        (store.local("locks") / f"{name}.lock").unlink(missing_ok=True)


def runs_at_work(store: Store, lease_seconds: float = LEASE_SECONDS) -> list[str]:
    """Names of the runs that are `at_work`, sorted; marks of dead ones are removed.

    On an object store it takes `lease_seconds` to tell the dead from the living, if there is any mark.
    """
    if store.root.protocol == "memory":
        names = [key.removeprefix(f"{store.uri}/") for key, lock in _memory_locks.items() if lock.locked()]
    elif store.is_local:
        names = [path.stem for path in store.local("locks").glob(f"{RUN}*.lock") if not _is_free(path)]
    else:
        names = _beating(store.root / "locks", lease_seconds)
    return sorted(name.removeprefix(RUN).rpartition("--")[0] for name in names if name.startswith(RUN))


def is_held(store: Store, name: str) -> bool:
    """Whether a process of this machine holds a lock of a local store."""
    path = store.local("locks") / f"{name.replace('/', '--')}.lock"
    return path.exists() and not _is_free(path, remove=False)


def _is_free(path: Path, remove: bool = True) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if remove:
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _beating(folder: UPath, seconds: float) -> list[str]:
    paths = [path for path in folder.iterdir() if path.name.startswith(RUN)] if folder.exists() else []
    waiting = {path.stem: _Contender(path, uuid.uuid4().hex, seconds) for path in paths}
    deadline = time.monotonic() + seconds + 1
    while waiting and time.monotonic() < deadline:
        for name, contender in list(waiting.items()):
            if contender.acquire() is not None:
                contender.path.unlink(missing_ok=True)
                del waiting[name]
        time.sleep(min(1.0, seconds / 4))
    return list(waiting)


@contextmanager
def flock(path: Path) -> Iterator[None]:
    """Holds an exclusive `flock` on a file, which is left in place: removing it would let two holders in."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        announced = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not announced:
                    holder = os.pread(descriptor, 1000, 0).decode("utf-8", "replace") or "another process"
                    notice(f"waits for {holder}, which holds {path.stem}")
                    announced = True
                time.sleep(POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _who().encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _lease(path: UPath, seconds: float) -> Iterator[None]:
    contender = _Contender(path, uuid.uuid4().hex, seconds)
    announced = False
    while (tag := contender.acquire()) is None:
        if not announced:
            notice(f"waits for {_named(path)}, which holds {path.stem}")
            announced = True
        time.sleep(LEASE_POLL_SECONDS)
    heartbeat = _Heartbeat(path, contender.holder, tag, seconds / 4)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.release()


class _Contender:
    """One who wants a lease, and what they have seen of the one that is there."""

    def __init__(self, path: UPath, holder: str, seconds: float) -> None:
        self.path, self.holder, self.seconds = path, holder, seconds
        self._tag: str | None = None
        self._since = 0.0

    def acquire(self) -> str | None:
        """The object's ETag if the lease is now ours, else None."""
        tag = _put(self.path, self.holder, 0, IfNoneMatch="*")
        if tag is not None:
            return tag
        try:
            seen = str(self.path.fs.call_s3("head_object", **_address(self.path))["ETag"])
        except OSError:
            return None
        now = time.monotonic()
        if seen != self._tag:
            self._tag, self._since = seen, now
        return _put(self.path, self.holder, 0, IfMatch=seen) if now - self._since > self.seconds else None


class _Heartbeat(threading.Thread):
    """Changes a lease by conditional replace; one that another holder has taken over is logged and left to them."""

    def __init__(self, path: UPath, holder: str, tag: str, every: float) -> None:
        super().__init__(name=f"lease-{path.name}", daemon=True)
        self.path, self.holder, self.tag, self.every = path, holder, tag, every
        self._over = threading.Event()
        self._lost = False

    def run(self) -> None:
        beats = 0
        while not self._over.wait(self.every):
            beats += 1
            try:
                tag = _put(self.path, self.holder, beats, IfMatch=self.tag)
            except StoreError as error:  # the next beat may get through before anybody has waited long enough
                logger.warning("%s", error)
                continue
            if tag is None:
                logger.warning(
                    "lease %s was taken over by another machine; commits stay safe, work may be done twice",
                    self.path.name,
                )
                self._lost = True
                return
            self.tag = tag

    def release(self) -> None:
        """Ends the heartbeat and removes the lease, unless it is somebody else's by now."""
        self._over.set()
        self.join()
        if not self._lost and _holder(self.path) == self.holder:
            self.path.unlink(missing_ok=True)


def _put(path: UPath, holder: str, beat: int, **condition: str) -> str | None:
    """The new object's ETag, which changes with every beat; None if the condition does not hold."""
    body = json.dumps({"holder": holder, "beat": beat, "who": _who()}).encode()
    try:
        return str(path.fs.call_s3("put_object", **_address(path), Body=body, **condition)["ETag"])
    except (FileExistsError, FileNotFoundError):  # s3fs's names for "precondition failed" and "replaced object is gone"
        return None
    except OSError as error:
        if error.errno == errno.EBUSY:  # two conditional writes at the same moment
            return None
        raise StoreError(f"lease {path.name} cannot be written ({error})") from error


def _who() -> str:
    """How those who wait are told of this process."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _named(path: UPath) -> str:
    try:
        return str(json.loads(path.fs.cat_file(path.path))["who"])
    except (OSError, ValueError, KeyError):
        return "another machine"


def _holder(path: UPath) -> str | None:
    try:
        return str(json.loads(path.fs.cat_file(path.path))["holder"])
    except (OSError, ValueError):
        return None


def _address(path: UPath) -> dict[str, Any]:
    bucket, _, key = path.path.partition("/")
    return {"Bucket": bucket, "Key": key}
