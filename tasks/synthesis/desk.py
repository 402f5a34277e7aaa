"""Asks calls and returns validated answers: from the cache, else from the transport, with a bounded number of repair
turns.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ValidationError

from tasks.base.errors import BudgetError
from tasks.synthesis.calls import Call, Transport
from tasks.synthesis.responses import Responses

REPAIRS: Final = 1
"""Further turns after an answer that is not JSON of the schema."""


@dataclass(frozen=True)
class Failure:
    """Why a call has no answer: `malformed`, `budget`, or a reply's problem."""

    reason: str
    detail: str


class Desk:
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
        """What stopped the desk; from then on only the cache answers."""
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
    found = re.search(r"\{.*\}", content, re.DOTALL)
    return found[0] if found else content
