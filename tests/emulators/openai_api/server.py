"""The server: Starlette on uvicorn in a thread of the test's process, on a free port of loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import jsonschema
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.emulators.openai_api import replies, wire
from tests.emulators.openai_api.batches import BatchDesk
from tests.emulators.openai_api.faults import Fault, Received

MODELS = ("gpt-5-mini", "gpt-4o-mini", "smollm2")


@dataclass(frozen=True)
class Billed:
    """One answer that a real service would charge for, whether or not the client got it."""

    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    batch: bool


@dataclass
class Settings:
    """How the server behaves; tests change it at any time."""

    latency: float = 0.0
    """Seconds before each answer."""
    capacity: int | None = None
    """More requests than this at once are answered 429; null = any number."""
    json_schema: bool = True
    """False: `response_format` of type json_schema is refused with 400, as older servers do."""
    ignore_format: bool = False
    """True: `response_format` is ignored and prose comes back, as `transformers serve` does."""
    token_field: str | None = None
    """The only accepted name of the output limit, `max_tokens` or `max_completion_tokens`; null = both."""
    api_key: str | None = None
    """The only accepted key; null = any."""
    cached_tokens: int = 0
    """Prompt tokens reported as read from the cache, at most the prompt's."""
    context_tokens: int | None = None
    """Longer prompts are refused with 400 context_length_exceeded; null = any length."""
    told_usage: Callable[[dict[str, Any]], Any] | None = None
    """What the server says of the usage that it bills; null = the truth."""
    batch_polls: int = 1
    """How often a batch is asked for before it ends."""
    batch_done: float = 1.0
    """Share of a batch's requests that are done when it ends; below 1 it expires."""
    batch_fails: bool = False
    """Whether batches end as failed, as one does whose file cannot be used."""


@dataclass
class OpenAIEmulator:
    """The running server. `with OpenAIEmulator() as server:` starts and stops it."""

    port: int = 0
    settings: Settings = field(init=False)
    reply: Callable[[dict[str, Any]], str] = field(init=False)
    """Makes the content of an answer; tests replace it."""
    fault_for: Callable[[Received], Fault | None] | None = field(init=False)
    """Asked when the queue `faults` is empty."""

    def __post_init__(self) -> None:
        self.batch_desk = BatchDesk(self)
        self.reset()

    def reset(self) -> None:
        """Forgets everything that was asked, uploaded and set, as if the server had just started."""
        self.settings = Settings()
        self.reply = replies.reply
        self.fault_for = None
        self.faults: deque[Fault] = deque()
        self.received: list[Received] = []
        self.billed: list[Billed] = []
        self.most_at_once = 0
        self.batch_desk.reset()
        self._active = 0

    @property
    def base_url(self) -> str:
        """What a client takes as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self.port))
        # asyncio sets it only on sockets whose protocol is stated; without it each answer waits 40 ms for an ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app(), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                *self.batch_desk.routes(),
            ]
        )

    def refused(self, request: Request) -> Response | None:
        """The answer to a request with a wrong key."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.settings.api_key is not None and key != self.settings.api_key:
            return wire.error(401, "invalid_api_key", "Incorrect API key provided.")
        return None

    async def _models(self, request: Request) -> Response:
        data = [{"id": name, "object": "model", "created": wire.CREATED, "owned_by": "emulator"} for name in MODELS]
        return self.refused(request) or JSONResponse({"object": "list", "data": data})

    async def _chat(self, request: Request) -> Response:
        if refused := self.refused(request):
            return refused
        body = await request.json()
        received = Received(len(self.received), body)
        self.received.append(received)
        self._active += 1
        self.most_at_once = max(self.most_at_once, self._active)
        try:
            if self.settings.capacity is not None and self._active > self.settings.capacity:
                return wire.error(429, "rate_limit_exceeded", "Rate limit reached for requests.")
            if self.settings.latency:
                await asyncio.sleep(self.settings.latency)
            return await self._answer(received)
        finally:
            self._active -= 1

    async def _answer(self, received: Received) -> Response:
        body = received.body
        fault = self.fault(received)
        if failure := self.failure(body, fault):
            return failure
        completion = self.completion(body, fault, batch=False)
        if fault is not None and fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "broken-body":
            return Response('{"id": "chatcmpl-', media_type="application/json")
        if fault is not None and fault.kind == "reset":
            return StreamingResponse(wire.torn(), headers={"content-length": "4096"}, media_type="application/json")
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return StreamingResponse(wire.events(completion, usage), media_type="text/event-stream")
        return JSONResponse(completion)

    def fault(self, received: Received) -> Fault | None:
        """What is to go wrong with this request."""
        if self.faults:
            return self.faults.popleft()
        return self.fault_for(received) if self.fault_for else None

    def failure(self, body: dict[str, Any], fault: Fault | None) -> Response | None:
        """The HTTP error that this request gets, if any; errors are not billed."""
        if fault is not None:
            wait = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
            if fault.kind == "rate-limit":
                return wire.error(429, "rate_limit_exceeded", "Rate limit reached for requests.", wait)
            if fault.kind == "quota":
                return wire.error(429, "insufficient_quota", "You exceeded your current quota.")
            if fault.kind == "server-error":
                return wire.error(500, "server_error", "The server had an error.", wait)
            if fault.kind == "overloaded":
                return HTMLResponse("<html><h1>503 Service Unavailable</h1></html>", 503, wait)
            if fault.kind == "moderation":
                return wire.error(400, "content_policy_violation", "The prompt was flagged by the moderation system.")
        if body["model"] not in MODELS:
            return wire.error(404, "model_not_found", f"The model `{body['model']}` does not exist.")
        other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
        if self.settings.token_field is not None and other[self.settings.token_field] in body:
            wrong = other[self.settings.token_field]
            message = f"Unsupported parameter: '{wrong}' is not supported. Use '{self.settings.token_field}' instead."
            return wire.error(400, "unsupported_parameter", message)
        size = wire.prompt_tokens(body)
        if self.settings.context_tokens is not None and size > self.settings.context_tokens:
            message = f"This model's maximum context length is {self.settings.context_tokens} tokens, not {size}."
            return wire.error(400, "context_length_exceeded", message)
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            if not self.settings.json_schema:
                return wire.error(400, "invalid_request", "response_format: Input should be 'text' or 'json_object'")
            problem = wire.strict_problem(wanted["json_schema"]["schema"])
            if wanted["json_schema"].get("strict") and problem:
                return wire.error(400, "invalid_json_schema", f"Invalid schema for response_format: {problem}")
        return None

    def completion(self, body: dict[str, Any], fault: Fault | None, batch: bool) -> dict[str, Any]:
        """The chat completion for a request, billed."""
        content: str | None = self.reply(body)
        wanted = body.get("response_format") or {}
        if self.settings.ignore_format:
            content = "Certainly! Here are some questions and answers about your document."
        elif wanted.get("type") == "json_schema" and self.reply is replies.reply:
            jsonschema.validate(json.loads(content or ""), wanted["json_schema"]["schema"])
        finish, refusal = "stop", None
        kind = fault.kind if fault else ""
        if kind == "malformed":
            content = (content or "")[:-3] + "]]"
        elif kind == "wrong-shape":
            content = '{"unexpected": [1, 2, 3]}'
        elif kind == "refusal":
            content, refusal = None, "I'm sorry, I can't help with that."
        elif kind == "content-filter":
            content, finish = "", "content_filter"
        elif kind == "empty":
            content = None
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        tokens = wire.encoded(content or refusal or "")
        if kind == "truncated" or (limit and len(tokens) > limit):
            tokens = tokens[
                : min(limit or len(tokens), max(1, len(tokens) // 2) if kind == "truncated" else len(tokens))
            ]
            content, finish = wire.encoding().decode(tokens), "length"
        usage = self._bill(body, len(tokens), batch)
        message = {"role": "assistant", "content": content, "refusal": refusal}
        return {
            "id": f"chatcmpl-{len(self.billed)}",
            "object": "chat.completion",
            "created": wire.CREATED,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            "usage": usage if self.settings.told_usage is None else self.settings.told_usage(usage),
        }

    def _bill(self, body: dict[str, Any], output_tokens: int, batch: bool) -> dict[str, Any]:
        prompt = wire.prompt_tokens(body)
        cached = min(self.settings.cached_tokens, prompt)
        self.billed.append(Billed(body["model"], prompt, cached, output_tokens, batch))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output_tokens,
            "total_tokens": prompt + output_tokens,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
