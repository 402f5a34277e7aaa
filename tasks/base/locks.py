"""Locks that die with their holder: one running step per key, one torch job per machine.

A local store uses `flock`, which the kernel frees when the process dies. An object store uses a lease: an object
created by conditional put, kept alive by a heartbeat, taken over by conditional replace once its heartbeat is older
than `LEASE_SECONDS`. (Prefect's FileSystemLockManager never expires and fails on keys with slashes, prefect 3.8.8.)
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from upath import UPath

from tasks.base.errors import StoreError
from tasks.base.progress import notice
from tasks.base.store import Store

LEASE_SECONDS: Final = 60.0
"""A lease whose heartbeat is older than this belongs to a dead holder."""

logger = logging.getLogger(__name__)

_memory_locks: dict[str, threading.Lock] = {}
_memory_guard = threading.Lock()


@contextmanager
def hold(store: Store, name: str, poll: float = 0.2) -> Iterator[None]:
    """Holds the store's lock of that name, waiting as long as a living process has it.

    Args:
        store: decides the mechanism: `flock` (local), lease (object store), thread lock (memory).
        name: slashes allowed; equal names exclude each other.
        poll: seconds between two tries.
    """
    flat = name.replace("/", "--")
    if store.is_local:
        with flock(store.local("locks") / f"{flat}.lock", poll):
            yield
    elif store.root.protocol == "memory":
        with _memory_guard:
            lock = _memory_locks.setdefault(f"{store.uri}/{flat}", threading.Lock())
        with lock:
            yield
    else:
        with _lease(store.root / "locks" / f"{flat}.json", max(poll, 1.0)):
            yield


@contextmanager
def flock(path: Path, poll: float = 0.2) -> Iterator[None]:
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
                time.sleep(poll)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _who().encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _lease(path: UPath, poll: float) -> Iterator[None]:
    holder = uuid.uuid4().hex
    announced = False
    while (tag := _acquire(path, holder)) is None:
        if not announced:
            notice(f"waits for {_named(path)}, which holds {path.stem}")
            announced = True
        time.sleep(poll)
    stop = threading.Event()
    lease = _Heartbeat(path, holder, tag, stop)
    lease.start()
    try:
        yield
    finally:
        stop.set()
        lease.join()
        lease.release()


class _Heartbeat(threading.Thread):
    """Renews a lease by conditional replace; a renewal that another holder overtook is logged and not repeated."""

    def __init__(self, path: UPath, holder: str, tag: str, stop: threading.Event) -> None:
        super().__init__(name=f"lease-{path.name}", daemon=True)
        self.path, self.holder, self.tag, self.stop = path, holder, tag, stop
        self.lost = False

    def run(self) -> None:
        while not self.stop.wait(LEASE_SECONDS / 4):
            tag = _put(self.path, self.holder, IfMatch=self.tag)
            if tag is None:
                logger.warning(
                    "lease %s was taken over by another machine; commits stay safe, work may be done twice",
                    self.path.name,
                )
                self.lost = True
                return
            self.tag = tag

    def release(self) -> None:
        if not self.lost and _holder(self.path) == self.holder:
            self.path.unlink(missing_ok=True)


def _acquire(path: UPath, holder: str) -> str | None:
    """The new object's ETag if the lease is now ours, else None."""
    tag = _put(path, holder, IfNoneMatch="*")
    if tag is not None:
        return tag
    try:
        head = path.fs.call_s3("head_object", **_address(path))
    except OSError:
        return None
    age = time.time() - head["LastModified"].timestamp()
    return _put(path, holder, IfMatch=head["ETag"]) if age > LEASE_SECONDS else None


def _put(path: UPath, holder: str, **condition: str) -> str | None:
    body = json.dumps({"holder": holder, "who": _who()}).encode()
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
