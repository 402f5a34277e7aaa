"""Faults that a test plants: what happens to the next requests of a kind."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass, field
from typing import Literal

from starlette.types import Receive, Scope, Send

Kind = Literal["status", "drop_before", "drop_after", "hang_before", "hang_after", "corrupt", "truncate"]


@dataclass
class Fault:
    """One planted fault.

    `status` answers with that status; `drop_*` cuts the connection before or after the request took effect;
    `hang_*` waits there until `release` is set, then cuts it; `corrupt` and `truncate` damage an uploaded file's
    bytes without saying so.
    """

    kind: Kind
    method: str
    path: str
    """Regular expression, searched in the request's path."""
    status: int = 503
    times: int = 1
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def __str__(self) -> str:
        return f"{self.kind}{self.status if self.kind == 'status' else ''}-{self.method}{self.path.replace('/', '-')}"

    def takes(self, method: str, path: str) -> bool:
        """Whether this request meets the fault; counts it."""
        if self.times <= 0 or method != self.method or re.search(self.path, path) is None:
            return False
        self.times -= 1
        return True

    async def hang(self) -> None:
        """Waits for the test."""
        self.reached.set()
        while not self.release.is_set():
            await asyncio.sleep(0.02)

    def damage(self, body: bytes) -> bytes:
        """An upload's bytes as they arrive."""
        if self.kind == "truncate":
            return body[: len(body) // 2]
        return body[:-1] + bytes([body[-1] ^ 0xFF])


class CutConnection:
    """An ASGI answer that ends in the middle, so that the client sees a lost connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promises ten bytes and sends one; the server then closes the connection."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
