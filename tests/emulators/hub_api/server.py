"""The emulator as a server on a free port of loopback, in a thread of the test process."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn

from tests.emulators.hub_api.api import application
from tests.emulators.hub_api.faults import Fault
from tests.emulators.hub_api.repositories import Account, Hub


class HubEmulator:
    """A Hub to talk to inside a `with` block."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self.hub = Hub(accounts)
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, in order of arrival."""
        # asyncio switches Nagle's algorithm off only for sockets that name their protocol; with it every answer
        # waits 40 ms for the client's delayed acknowledgement
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            application(self.hub, self.url, self.faults, self.requests), log_level="critical", lifespan="off"
        )
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)

    def plant(self, fault: Fault) -> Fault:
        """Adds a fault for requests to come."""
        self.faults.append(fault)
        return fault

    def writes(self) -> list[tuple[str, str]]:
        """Requests that change something: uploads, commits, branches."""
        return [
            (method, path)
            for method, path in self.requests
            if method in ("PUT", "DELETE") or (method == "POST" and ("/commit/" in path or "/branch/" in path))
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline, "the emulator did not start"
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fault in self.faults:
            fault.release.set()
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=10)
        self._listener.close()
