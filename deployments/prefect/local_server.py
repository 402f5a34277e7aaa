"""A Prefect server of one's own for laptops: home beside the store, free port, gone with the process that wanted it.

`python -m deployments.prefect.local_server PORT` is the child: it serves until its standard input closes, which happens
whatever way its parent ends. A run against an always-on server (PREFECT_API_URL is set) does not need any of this.

Whoever may create a run on a server may have its worker execute any command (`job_variables.command`), so the server
wants a password, drawn anew at each start and known to this process and its children only, and answers no page of
another origin and no other name of this machine.
"""

from __future__ import annotations

import os
import secrets
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
from typing import Any, Final

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

LOOPBACK: Final = "127.0.0.1"

ENTRANCE: Final = "/open"
"""Page that hands the password, which stands behind the `#` and is never sent, to the UI and goes there."""

ENTRANCE_PAGE: Final = b"""<!doctype html><meta name="referrer" content="no-referrer"><title>rawtune</title><script>
if (location.hash.length > 1) localStorage.setItem("prefect-password", btoa(decodeURIComponent(location.hash.slice(1))))
location.replace("/")
</script>"""
"""`prefect-password` is where the UI keeps what a person typed into its login page (prefect 3.8.8)."""

LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""Where a server keeps who holds a slot of a concurrency limit. Prefect's default is its memory: after a restart every
run of a deployment with a limit fails within 225 s, and slots of other limits are never given back (prefect 3.8.8).
"""


@contextmanager
def local_server(home: Path, meanwhile: Callable[[], object] | None = None, port: int = 0) -> Iterator[str]:
    """Starts a server with its database in `home` and yields its API's URL; sets this process's Prefect settings to it.

    Must be entered before `prefect` is imported.

    Args:
        home: of the server; made if it is not there.
        meanwhile: called while the server starts on another core, such as imports that take seconds.
        port: on loopback; 0 takes a free one.

    Raises:
        RawtuneError: the server did not answer within `START_SECONDS`.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    url = f"http://{LOOPBACK}:{port}/api"
    password = f"rawtune:{secrets.token_urlsafe(24)}"
    settings = QUIET_SETTINGS | {
        "PREFECT_HOME": str(home),
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "results"),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_API_AUTH_STRING": password,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(own_origins(port)),
    }
    os.environ.update(settings)
    log = home / "server.log"
    with log.open("ab") as writer:
        server = subprocess.Popen(
            [sys.executable, "-m", "deployments.prefect.local_server", str(port)],
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


def free_port(wanted: int = 0) -> int:
    """A TCP port on loopback that nobody listens on: the wanted one if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            return free_port()
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
    uvicorn.run(_Guard(create_app(), port), host=LOOPBACK, port=port, log_level="warning")


def entrance(url: str) -> str:
    """Address to open the UI of this process's own server at `url`, password included."""
    return f"{url.removesuffix('/api')}{ENTRANCE}#{os.environ['PREFECT_API_AUTH_STRING']}"


def own_origins(port: int) -> tuple[str, ...]:
    """What a browser on this machine may call the server."""
    return f"http://{LOOPBACK}:{port}", f"http://localhost:{port}"


class _Guard:
    """Refuses requests under another name of this machine (DNS rebinding) and from pages of another origin, before
    Prefect sees them.
    """

    def __init__(self, app: Any, port: int) -> None:
        self.app = app
        self.origins = own_origins(port)
        self.hosts = tuple(origin.removeprefix("http://") for origin in self.origins)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        from starlette.responses import HTMLResponse, PlainTextResponse

        headers = [(name, value.decode("latin-1").lower()) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        origins = [value for name, value in headers if name == b"origin"]
        if len(hosts) != 1 or hosts[0] not in self.hosts or any(origin not in self.origins for origin in origins):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await PlainTextResponse("this server answers its own pages only", 403)(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == ENTRANCE:
            await HTMLResponse(ENTRANCE_PAGE, headers={"Cache-Control": "no-store"})(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
