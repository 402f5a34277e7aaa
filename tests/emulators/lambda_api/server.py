"""The emulator as a server on a free port of loopback, in a thread of the test process."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from tests.emulators.lambda_api.api import KEY, Fault, Limits, application
from tests.emulators.lambda_api.cloud import Cloud


class LambdaEmulator:
    """A Lambda account to talk to inside a `with` block."""

    def __init__(self, folder: Path, request_seconds: float = 1.0, launch_seconds: float = 12.0) -> None:
        self.cloud = Cloud(folder)
        self.key = KEY
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, in order of arrival."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        limits = Limits(request_seconds, launch_seconds)
        config = uvicorn.Config(
            application(self.cloud, self.faults, self.requests, limits), log_level="critical", lifespan="off"
        )
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)

    def plant(self, fault: Fault) -> Fault:
        """Adds a fault for requests to come."""
        self.faults.append(fault)
        return fault

    def count(self, path: str) -> int:
        """How many requests of a path came."""
        return sum(1 for _, asked in self.requests if asked.endswith(path))

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
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=10)
        self._listener.close()
        self.cloud.close()
