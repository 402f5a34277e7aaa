"""Sends calls one request at a time to any OpenAI-compatible server, with the official client.

The client's own retries are off: every attempt must pass the budget and the throttle. The throttle decides how many
requests are under way at once: slow start, then additive increase and multiplicative decrease, as in TCP (RFC 5681;
Chiu and Jain 1989). So it finds a server's limit without being told.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tasks.base.errors import BudgetError, InputError, SourceError
from tasks.llm.budget import Budget
from tasks.llm.calls import Call, Reply
from tasks.llm.prices import Prices
from tasks.llm.wire import MODERATION_CODES, Dialect, reply_of, request_body, retry_after, usage_of

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

FIRST_LIMIT: Final = 4
"""Requests at once before anything is known about the server."""
MAX_ATTEMPTS: Final = 8
"""With the waits below that is about two minutes of a server that does not answer."""
FIRST_WAIT: Final = 0.5
"""Seconds before the second attempt, doubled for each further one, up to `LONGEST_WAIT`; a random half is taken off."""
LONGEST_WAIT: Final = 60.0
GIVE_UPS: Final = 5
"""After this many calls in a row without an answer the server is considered dead."""


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
        """Doubles the limit after each round of successes until the first complaint, then adds one a round."""
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


class Online:
    """A transport that sends each call at once. Its first call goes alone and finds out what the server understands."""

    def __init__(
        self,
        client: AsyncOpenAI,
        budget: Budget,
        prices: dict[str, Prices],
        most: int,
        key_name: str = "OPENAI_API_KEY",
        first_wait: float | None = None,
    ) -> None:
        self.client = client
        self.budget = budget
        self.prices = prices
        self.throttle = Throttle(most)
        self.dialect = Dialect()
        self.requests = 0
        """Requests sent, failed ones included."""
        self.section = budget.section
        self.key_name = key_name
        self.first_wait = FIRST_WAIT if first_wait is None else first_wait
        self._given_up = 0
        self._probing = asyncio.Lock()
        self._known = False
        self._error: Exception | None = None

    async def send(self, call: Call) -> Reply:
        """The reply to a call; see `Transport`."""
        if not self._known:
            async with self._probing:
                if self._error is not None:
                    raise self._error
                if not self._known:
                    reply = await self._send(call)
                    self._known = True
                    return reply
        return await self._send(call)

    async def close(self) -> None:
        """Ends connections."""
        await self.client.close()

    async def _send(self, call: Call) -> Reply:
        try:
            return await self._insisting(call)
        except Exception as error:
            self._error = error
            raise

    async def _insisting(self, call: Call) -> Reply:
        problem = ""
        for attempt in range(MAX_ATTEMPTS):
            outcome = await self._attempt(call)
            if isinstance(outcome, Reply):
                self._given_up = 0
                return outcome
            problem, pause = outcome
            wait = min(LONGEST_WAIT, self.first_wait * 2**attempt) * random.uniform(0.5, 1.0)
            await asyncio.sleep(pause if pause is not None else wait)
        self._given_up += 1
        if not self._known or self._given_up >= GIVE_UPS:
            raise SourceError(f"{self.section}.base_url: {self.client.base_url} does not answer ({problem})")
        return Reply("", "server-error", problem, None)

    async def _attempt(self, call: Call) -> Reply | tuple[str, float | None]:
        """A reply, or what went wrong with this attempt and the seconds that the server asks to wait."""
        import openai

        async with self.throttle.slot():
            reservation = await self.budget.reserve(self.prices[call.model].worst(call))
            began = time.monotonic()
            billed: Decimal | None = None  # None: nobody knows
            try:
                while True:
                    body = request_body(call, self.dialect)
                    self.requests += 1
                    try:
                        # Not `chat.completions.create`: checking a body that we made costs a quarter of a call's CPU.
                        answer = await self.client.post("/chat/completions", cast_to=object, body=body)
                        break
                    except openai.APIStatusError as error:
                        if not self.dialect.learn(error, body):
                            raise
                reply = reply_of(answer)
                billed = self.prices[call.model].billed(call.sent_bytes, reply.usage, reply.content or reply.detail)
                self.throttle.succeeded()
                return reply
            except openai.APIStatusError as error:
                billed = self._billed_anyway(call, error)
                return self._refused(call, error, began)
            except openai.APITimeoutError:
                self.throttle.complained(began)
                return "time is up", None
            except openai.APIConnectionError as error:
                cause = error.__cause__
                if type(cause).__name__ in ("ConnectError", "ConnectTimeout"):  # nothing was sent
                    billed = Decimal(0)
                self.throttle.complained(began)
                return f"connection: {cause or error}", None
            except ValueError as error:  # a body that is not JSON, or JSON that is no chat completion
                return f"broken answer: {error}", None
            finally:
                await self._pay(reservation, billed)

    async def _pay(self, reservation: str, billed: Decimal | None) -> None:
        if billed is None:
            await self.budget.keep(reservation)
        else:
            await self.budget.settle(reservation, billed)

    def _billed_anyway(self, call: Call, error: APIStatusError) -> Decimal | None:
        """Dollars of a call that was answered with an error: by the usage in the error's body if it states one; nothing
        if the server turned the call down; None, nobody knows, if it broke off while it worked on it.
        """
        prices = self.prices[call.model]
        try:
            body = error.response.json()
        except ValueError:
            body = {}
        usage = usage_of(body.get("usage")) if isinstance(body, dict) else None
        if usage is not None:
            return prices.billed(call.sent_bytes, usage, "")
        if error.status_code < 500 and error.status_code != 408:
            return Decimal(0)
        return Decimal(0) if prices.free else None

    def _refused(self, call: Call, error: APIStatusError, began: float) -> Reply | tuple[str, float | None]:
        code, status, message = str(error.code or ""), error.status_code, _line(error.message)
        if code == "insufficient_quota":
            raise BudgetError(
                f"{self.section}: the account's quota is used up ({message}); all answers so far are kept"
            )
        if status in (401, 403):
            raise InputError(f"{self.key_name}: refused by {self.client.base_url} ({message})")
        if status == 404:
            raise InputError(f"{self.section}.model: {call.model} is not known at {self.client.base_url} ({message})")
        if code in MODERATION_CODES:
            return Reply("", "moderated", message, None)
        if code == "context_length_exceeded" or "maximum context length" in message:
            shorten = "shorten what is sent (`synthesis.window_characters`) or take another model"
            raise InputError(f"{self.section}: too much for the context of {call.model} ({message}); {shorten}")
        if status in (408, 409, 429) or status >= 500:
            pause = retry_after(error.response.headers)
            self.throttle.complained(began, pause or 0.0)
            return f"{status} {message}", pause
        return Reply("", "server-error", f"{status} {message}", None)


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
