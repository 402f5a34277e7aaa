"""The child's side of `tasks/model/child.py`: `python -m tasks.model.child_main MODULE:FUNCTION`.

Job and request come on stdin, events and answer go to stdout. The argument is for those who list processes.

Imports nothing of a library before the machine's torch lock is held, so that a waiting child costs a few megabytes.
Uses the standard library only: it also runs in environments (Unsloth's) that lack most of rawtune's own dependencies.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""

Report = Callable[[dict[str, Any]], None]
"""What a job calls to tell its parent something while it works."""

Job = Callable[[Any, Report], dict[str, Any]]
"""A job takes the request, a JSON object or the `Request` that its annotation names, and returns a JSON object."""


def main() -> int:
    """Runs one job, or several if the parent says that the process stays; returns the exit code.

    It is 0 also when a job failed in an understood way, which the answer tells. After a failure no job follows.
    """
    die_with_parent()
    events = _take_stdout()
    send_lock = threading.Lock()

    def send(event: str, value: Any) -> None:
        with send_lock:
            events.write(json.dumps({"event": event, "value": value}) + "\n")
            events.flush()

    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_orders, args=(orders,), name="parent-watch", daemon=True).start()
    before = ""
    while True:
        order = orders.get()
        if order["stays"]:
            from tasks.model.holding import release, stay

            stay()
            if before not in ("", order["job"]):
                release()
            before = order["job"]
        if not _answer(order, send) or not order["stays"]:
            return 0


def _answer(order: dict[str, Any], send: Callable[[str, Any], None]) -> bool:
    """Runs a job under the machine's lock; whether it came to its end."""
    lock = _machine_lock() if order["exclusive"] else None
    if lock is not None:
        if not _try_lock(lock):
            send("waiting", os.pread(lock, 1000, 0).decode("utf-8", "replace") or "another process")
            fcntl.flock(lock, fcntl.LOCK_EX)
            send("going", None)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{order['job']} (process {os.getpid()})".encode(), 0)
    try:
        send("started", os.getpid())
        job = _load(order["job"])
        answer = job(_typed(job, order["request"]), lambda facts: send("progress", facts))
    except BaseException as error:  # the parent names the job and turns the kind into rawtune's own error
        _print_traceback()
        send("error", {"kind": _kind(error), "message": _one_line(error)})
        return False
    if lock is not None and order["stays"]:
        os.close(lock)  # between two jobs others may compute
    send("answer", answer)
    return True


def die_with_parent() -> None:
    """Linux kills this process when the thread that started it is gone. Processes that a job starts call this too."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _read_orders(orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Takes the parent's lines. It holds the other end of stdin for as long as it lives, so end of file means that it
    is gone, however it died.
    """
    for line in sys.stdin.buffer:
        orders.put(json.loads(line))
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _take_stdout() -> TextIO:
    """Keeps the real stdout for events and sends whatever libraries print to stderr."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


def _machine_lock() -> int:
    path = Path(tempfile.gettempdir()) / "rawtune-torch.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _load(name: str) -> Job:
    module, _, function = name.partition(":")
    job: Job = getattr(importlib.import_module(module), function)
    return job


def _typed(job: Job, request: dict[str, Any]) -> Any:
    """The request as the job's annotation has it."""
    validate = getattr(typing.get_type_hints(job).get("request"), "model_validate", None)
    return request if validate is None else validate(request)


def _kind(error: BaseException) -> str:
    """What the parent makes of it: rawtune's own error by name, or `memory`, `disk`, `interrupt`, `other`."""
    if any(base.__name__ == "RawtuneError" for base in type(error).__mro__):
        return type(error).__name__
    text = str(error).lower()
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return "memory"
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "no space left on device" in text:
        return "disk"
    return "interrupt" if isinstance(error, KeyboardInterrupt | SystemExit) else "other"


def _one_line(error: BaseException) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    name = type(error).__name__
    if any(base.__name__ == "RawtuneError" for base in type(error).__mro__):
        return text or name
    return f"{name}: {text}" if text else name


def _print_traceback() -> None:
    import traceback  # here, because a job that works never needs it

    traceback.print_exc()


if __name__ == "__main__":
    raise SystemExit(main())
