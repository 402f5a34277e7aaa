"""What is asked of a model, what comes back, and the protocol that every way of sending implements."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from tasks.base.records import Message

Problem = Literal["", "refused", "truncated", "moderated", "server-error"]


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer, as the server reports them."""

    input_tokens: int
    cached_tokens: int
    """Of the input tokens, those read from the server's prompt cache."""
    output_tokens: int


@dataclass(frozen=True)
class Call:
    """One question to a model whose answer must be JSON of a schema."""

    id: str
    """Document id, method and part: names the call in verdicts and batches; not part of the digest."""
    name: str
    """Name of the schema: the method, or `judge`."""
    schema: type[BaseModel]
    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    temperature: float | None = None
    reasoning_effort: str | None = None
    blocks: tuple[str, ...] = ()
    """The documents in the prompt, for the judge; the messages have them already."""

    @property
    def json_schema(self) -> dict[str, Any]:
        """The schema as OpenAI's strict mode wants it: objects closed, all fields required."""
        return json_schema(self.schema)

    @cached_property
    def digest(self) -> str:
        """Hash of all that decides the answer; equal calls share a cached response however they are sent."""
        document = {
            "model": self.model,
            "messages": [message.model_dump() for message in self.messages],
            "name": self.name,
            "schema": self.json_schema,
            "max_output_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "reasoning_effort": self.reasoning_effort,
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    @property
    def sent_bytes(self) -> int:
        """UTF-8 bytes of all messages."""
        return sum(len(message.content.encode("utf-8", "surrogatepass")) for message in self.messages)

    def repaired(self, content: str, problem: str) -> Call:
        """The call that shows the model its unusable answer and asks for a right one."""
        complaint = f"That is not JSON of the schema ({problem}). Reply again with JSON of the schema and nothing else."
        turns = (Message(role="assistant", content=content), Message(role="user", content=complaint))
        return replace(self, messages=(*self.messages, *turns))


@cache
def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a reply, made once: pydantic takes about a millisecond for it."""
    return model.model_json_schema()


@dataclass(frozen=True)
class Reply:
    """What came back: content, or the reason why there is none that could be used."""

    content: str
    problem: Problem
    detail: str
    usage: Usage | None
    """Null if nothing was billed or the server did not say."""


class Transport(Protocol):
    """A way to get calls answered: one request at a time (`online.py`) or in batches (`batches.py`).

    It pays from the budget, waits, retries and gives up by itself; it does not judge whether content is right.
    """

    requests: int
    """Requests made so far, failed ones included."""

    async def send(self, call: Call) -> Reply:
        """The reply to a call.

        Raises:
            BudgetError: it could cost more than is left.
            InputError: the server refuses key, model or address: no call can succeed.
            SourceError: the server does not answer at all.
        """
        ...

    async def close(self) -> None:
        """Ends connections."""
        ...
