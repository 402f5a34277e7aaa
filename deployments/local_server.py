"""A Prefect server of one's own for laptops: home beside the store, free port, gone with the process that wanted it.

`python -m deployments.local_server PORT` is the child: it serves until its standard input closes, which happens
whatever way its parent ends. A run against an always-on server (PREFECT_API_URL is set) does not need any of this.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.base.errors import RawtuneError

START_SECONDS = 120.0
"""A fresh database takes about 12 s on two cores; a busy machine takes longer."""

QUIET_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows",
    "PREFECT_CLI_PROMPT": "false",
}
"""No telemetry; logs go to the server, where the UI shows them, and not to the terminal, which shows progress."""

LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""Where a server keeps who holds a slot of a concurrency limit. Prefect's default is its memory: after a restart every
run of a deployment with a limit fails within 225 s, and slots of other limits are never given back (prefect 3.8.8).
"""


@contextmanager
def local_server(home: Path, meanwhile: Callable[[], object] | None = None) -> Iterator[str]:
    """Starts a server with its database in `home` and yields its API's URL; sets this process's Prefect settings to it.

    Must be entered before `prefect` is imported.

    Args:
        home: of the server; made if it is not there.
        meanwhile: called while the server starts on another core, such as imports that take seconds.

    Raises:
        RawtuneError: the server did not answer within `START_SECONDS`.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    settings = QUIET_SETTINGS | {
        "PREFECT_HOME": str(home),
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "results"),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
    }
    os.environ.update(settings)
    log = home / "server.log"
    with log.open("ab") as writer:
        server = subprocess.Popen(
            [sys.executable, "-m", "deployments.local_server", str(port)],
            stdin=subprocess.PIPE,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
        )
    try:
        if meanwhile is not None:
            meanwhile()
        _await_health(url, server, log)
        yield url
    finally:
        assert server.stdin is not None
        server.stdin.close()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RawtuneError(f"the Prefect server did not start; its log is {log}")


def _serve(port: int) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvicorn.run(create_app(), host="127.0.0.1", port=port, log_level="warning")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
