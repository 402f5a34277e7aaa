"""Asks calls and returns validated answers from the cache or the transport, with repair turns.

Also here: how a client is made for a server, and how the run's ledger learns what was spent while it is being spent, so
that a killed run's dollars are in it too.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from tasks.base.errors import BudgetError, InputError
from tasks.base.files import write_text
from tasks.base.ledger import current_ledger
from tasks.base.runs import StepRun
from tasks.base.store import Store
from tasks.llm.batches import Batches
from tasks.llm.budget import Budget
from tasks.llm.calls import Call, Transport
from tasks.llm.online import Online
from tasks.llm.params import OPENAI, Server
from tasks.llm.prices import Prices, prices_of

NO_KEY: Final = "none"
"""Sent to a server of one's own, which asks for no key; the library refuses to start without one."""
REPAIRS: Final = 1
"""Further turns after an answer that is not JSON of the schema."""
LEDGER_SECONDS: Final = 1.0
"""Least seconds between two entries of one step."""


class Responses:
    """A folder of answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, call: Call) -> BaseModel | None:
        """The answer to an equal call, or None; a file that is not such an answer counts as none."""
        try:
            return call.schema.model_validate(json.loads(self._path(call).read_text("utf-8"))["answer"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, call: Call, answer: BaseModel) -> None:
        """Keeps an answer; it appears whole or not at all."""
        document = {"call": call.id, "model": call.model, "answer": answer.model_dump(mode="json")}
        write_text(self._path(call), json.dumps(document, ensure_ascii=False))

    def _path(self, call: Call) -> Path:
        return self.folder / call.digest[:2] / f"{call.digest}.json"


@dataclass(frozen=True)
class Failure:
    """Why a call has no answer: `malformed`, `budget`, or a reply's problem."""

    reason: str
    detail: str


class Client:
    """The one place that calls go through."""

    def __init__(self, transport: Transport, responses: Responses, keep_at_budget: bool = False) -> None:
        self.transport = transport
        self.keep_at_budget = keep_at_budget
        """Whether calls that the budget does not allow are failures instead of an error."""
        self.responses = responses
        self.asked = 0
        """Calls that the cache could not answer, repair turns included."""
        self.cached = 0
        self.error: Exception | None = None
        """What stopped the client; from then on only the cache answers."""
        self._exhausted = ""
        self._flying: dict[str, asyncio.Future[BaseModel | Failure]] = {}

    async def ask(self, call: Call) -> BaseModel | Failure:
        """The answer to a call; equal calls under way at once are sent once."""
        if call.digest in self._flying:
            return await asyncio.shield(self._flying[call.digest])
        answer = self.responses.get(call)
        if answer is not None:
            self.cached += 1
            return answer
        future: asyncio.Future[BaseModel | Failure] = asyncio.get_running_loop().create_future()
        self._flying[call.digest] = future
        try:
            outcome = await self._ask(call)
            future.set_result(outcome)
            return outcome
        except BaseException:
            future.cancel()
            raise
        finally:
            del self._flying[call.digest]

    async def _ask(self, call: Call) -> BaseModel | Failure:
        sent = call
        for turn in range(REPAIRS + 1):
            if self.error is not None:
                raise self.error
            if self._exhausted:
                return Failure("budget", self._exhausted)
            self.asked += 1
            try:
                reply = await self.transport.send(sent)
            except BudgetError as error:
                if self.keep_at_budget:
                    self._exhausted = str(error)
                    return Failure("budget", self._exhausted)
                self.error = self.error or error
                raise
            except Exception as error:
                self.error = self.error or error
                raise
            if reply.problem:
                return Failure(reply.problem, reply.detail)
            try:
                answer = call.schema.model_validate_json(_json(reply.content))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
                if turn == REPAIRS:
                    return Failure("malformed", problem)
                sent = sent.repaired(reply.content, problem)
                continue
            self.responses.put(call, answer)
            return answer
        raise AssertionError("unreachable")


def _json(content: str) -> str:
    """The JSON object in a reply, without the fence or the sentence that small models put around it."""
    first, last = content.find("{"), content.rfind("}")
    return content[first : last + 1] if 0 <= first < last else content


def checked_prices(server: Server) -> dict[str, Prices]:
    """Prices of the server's models.

    Raises:
        InputError: no model is named, its price is unknown, or the budget allows nothing.
    """
    if not all(server.models):
        raise InputError(f"{server.section}.model: the provider `openai` needs the name of a model on the server")
    prices = {model: prices_of(server, model) for model in server.models}
    if server.budget_usd == 0 and not all(price.free for price in prices.values()):
        raise InputError(
            f"{server.section}.budget_usd: 0 allows no call; state how many dollars may be spent (see `rawtune plan`)"
        )
    return prices


def budget_of(store: Store, server: Server, key: str) -> Budget:
    """What may still be spent at a server under a step key; kept in the store for every machine to see."""
    return Budget(store.root / "budgets" / key, server.budget_usd, server.section)


@asynccontextmanager
async def opened(store: Store, server: Server, cache: str, key: str) -> AsyncIterator[tuple[Client, Budget]]:
    """A client for a server and the budget that it pays from, for one step key.

    Args:
        store: holds the budget; responses and records of batches are in its cache on this machine.
        server: who is asked.
        cache: name of the cache folder.
        key: the step's key; a resumed run has the same and goes on counting.

    Raises:
        InputError: the parameters or the environment lack something.
    """
    from openai import AsyncOpenAI

    prices = checked_prices(server)
    key_name = next((name for name in server.keys if os.environ.get(name)), server.keys[0])
    api_key = os.environ.get(key_name)
    if not api_key and server.base_url.rstrip("/") == OPENAI:
        raise InputError(f"{key_name}: not set; {OPENAI} needs it")
    folder = store.local("cache", cache)
    budget = budget_of(store, server, key)
    library = AsyncOpenAI(
        api_key=api_key or NO_KEY,
        base_url=server.base_url,
        max_retries=4 if server.batch else 0,
        timeout=server.timeout,
    )
    transport: Online | Batches
    if server.batch:
        records = folder / "batches" / key
        records.mkdir(parents=True, exist_ok=True)
        transport = Batches(library, budget, prices, records, server.batch_requests, server.batch_poll)
    else:
        transport = Online(library, budget, prices, server.concurrency, key_name)
    try:
        yield Client(transport, Responses(folder / "responses"), server.keep_at_budget), budget
        if isinstance(transport, Batches):
            transport.forget()
    finally:
        await transport.close()


class Told:
    """What the ledgers of all runs under a step key know of its budget.

    The amount that was told lies beside the budget's reservations. So a resumed run also tells what the run before it
    had spent, or might have spent, when it was killed.
    """

    def __init__(self, run: StepRun, model: str, client: Client, budget: Budget) -> None:
        self.run = run
        self.model = model
        self.client = client
        self.budget = budget
        self._file = budget.folder / "told"
        self._usd = Decimal(self._file.read_text("utf-8")) if self._file.exists() else Decimal(0)
        self._counts = {"calls": 0, "cached": 0, "requests": 0}
        self._last = float("-inf")

    def tell(self, seconds: float = 0.0) -> None:
        """Adds an entry with what came since the last one, unless that was less than `seconds` ago."""
        now = time.monotonic()
        if now - self._last < seconds or current_ledger() is None:
            return
        self._last = now
        counts = {
            "calls": self.client.asked,
            "cached": self.client.cached,
            "requests": self.client.transport.requests,
        }
        spent = self.budget.spent_usd
        self.run.ledger(
            "spend",
            usd=float(spent - self._usd),
            usd_under_this_key=float(spent),
            budget_usd=float(self.budget.cap_usd),
            model=self.model,
            **{name: number - self._counts[name] for name, number in counts.items()},
        )
        self._counts, self._usd = counts, spent
        write_text(self._file, str(spent))
