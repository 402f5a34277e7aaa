"""Ctrl-C: one line within five seconds and exit code 130, whatever the process is doing; the work goes on next time.

Every step commits its artifact whole or not at all, and training resumes from its last checkpoint, so nothing has to be
saved here. What could hang is everything around it: Prefect's client that talks to a server which is going, exit
handlers that send logs, C code that does not return. Children go with their parent (`tasks/model/child.py`,
`local_server.py`, `local_worker.py`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

EXIT_CODE: Final = 130
"""128 and the number of SIGINT, as shells have it."""

GRACE_SECONDS: Final = 3.0
"""What blocks that were left may take for closing ledgers, locks and servers."""

MESSAGE: Final = "interrupted; run again to go on"


def on_interrupt() -> None:
    """From now on the first Ctrl-C raises KeyboardInterrupt and ends the process after `GRACE_SECONDS` in any case;
    further ones are ignored.
    """
    signal.signal(signal.SIGINT, _interrupted)
    read, write = os.pipe()
    os.set_blocking(write, False)
    # the C handler writes to the pipe even while the main thread is in C code and cannot run `_interrupted`
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), name="interruption", daemon=True).start()


def wait_for_interrupt(ready: Callable[[], object]) -> None:
    """Calls `ready`, which says so, and returns at Ctrl-C, for commands that work until then: it is their normal end,
    which may take its time.
    """
    with suppress(KeyboardInterrupt):
        signal.set_wakeup_fd(-1)
        ready()
        threading.Event().wait()


def end() -> NoReturn:
    """Says so and ends the process without exit handlers: Prefect's would wait for a server that is gone."""
    try:
        sys.stdout.flush()
        os.write(2, f"rawtune: {MESSAGE}\n".encode())
    finally:
        os._exit(EXIT_CODE)


def _interrupted(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch(read: int) -> None:
    while os.read(read, 1) != bytes([signal.SIGINT]):
        pass
    threading.Event().wait(GRACE_SECONDS)
    end()
