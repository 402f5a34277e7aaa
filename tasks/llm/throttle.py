"""How many requests are under way at once: raised while they succeed, halved when the server complains.

Slow start, then additive increase and multiplicative decrease, as in TCP (RFC 5681; Chiu and Jain 1989): it finds a
server's limit without being told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

FIRST_LIMIT: Final = 4
"""Requests at once before anything is known about the server."""


class Throttle:
    """Admits at most `limit` requests at once, none before a pause that the server asked for is over."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(FIRST_LIMIT, most))
        self._active = 0
        self._paused_until = 0.0
        self._last_cut = 0.0
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits for a free place and holds it."""
        while True:
            pause = self._paused_until - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif self._active < int(self.limit):
                break
            else:
                self._freed.clear()
                await self._freed.wait()
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            self._freed.set()

    def succeeded(self) -> None:
        """Twice as many at once after each round of successes up to the first complaint, from then on one more."""
        step = 1 / max(1.0, self.limit) if self._last_cut else 1.0
        self.limit = min(float(self.most), self.limit + step)

    def complained(self, began: float, pause: float = 0.0) -> None:
        """Halves the limit and lets nothing in for `pause` seconds.

        Of the requests that began before the last cut only the first counts: they met the same limit.
        """
        now = time.monotonic()
        if began >= self._last_cut:
            self.limit = max(1.0, self.limit / 2)
            self._last_cut = now
        self._paused_until = max(self._paused_until, now + pause)
