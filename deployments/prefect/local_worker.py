"""A Prefect worker of one's own for laptops: runs what is triggered in the UI, and goes with its parent.

`python -m deployments.prefect.local_worker POOL` is the child: it works until its standard input closes, which happens
whatever way its parent ends, and takes its runs along.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 20.0
"""How long a worker may take to end its runs."""

POLL_SECONDS = "2"
"""Prefect's default of 10 is for servers with many workers; somebody who presses Run is waiting."""


@contextmanager
def local_worker(pool: str, log: Path) -> Iterator[None]:
    """Keeps a process worker of the server at PREFECT_API_URL running for the duration of the block."""
    with log.open("ab") as writer:
        worker = subprocess.Popen(
            [sys.executable, "-m", "deployments.prefect.local_worker", pool],
            env=os.environ | {"PREFECT_WORKER_QUERY_SECONDS": POLL_SECONDS},
            stdin=subprocess.PIPE,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
        )
    try:
        yield
    finally:
        assert worker.stdin is not None
        worker.stdin.close()
        try:
            worker.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _work(pool: str) -> None:
    import psutil
    from anyio import run
    from prefect.workers.process import ProcessWorker

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        # A killed process worker leaves its runs behind, and they would end as Crashed on a server that is gone.
        for process in psutil.Process().children(recursive=True):
            process.send_signal(signal.SIGTERM)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    run(ProcessWorker(work_pool_name=pool, name="this machine", limit=1).start)


if __name__ == "__main__":
    _work(sys.argv[1])
