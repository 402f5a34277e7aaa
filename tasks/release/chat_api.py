"""The part of OpenAI's protocol that a served release speaks, and its limits.

It has models, health and chat completions.

Generation is transformers' own (`transformers serve`, 5.17). The routes are ours, because its own take a chat template,
a generation config and a model to load from the request, write the template's control tokens wherever a message spells
them, and compute on when nobody listens any more. Here a message is text in every spelling (`tasks/text/chat.py`), a
request is bounded in bytes, tokens, seconds and number, and one that is dropped stops at its next token.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.release.metrics import Metrics
from tasks.release.requests import RETRIEVAL
from tasks.retrieval.citations import listed, sources, without_sources
from tasks.retrieval.passages import Passage
from tasks.retrieval.prompt import with_passages

MAX_BODY_BYTES: Final = 2_000_000
"""Of a request; about 500,000 tokens, more than any model here reads."""
MAX_NEW_TOKENS: Final = 4096
"""Longest answer, whatever a request asks for."""
NEW_TOKENS: Final = 512
"""Longest answer where the request names no limit."""
MAX_SECONDS: Final = 600.0
"""Longest computation of one answer."""
MAX_WAITING: Final = 32
"""Requests under way at most; they are answered one after the other."""
MAX_BODY_SECONDS: Final = 30.0
"""Within which the body of a request must have arrived."""

FAILED: Final = "the model could not answer; the server's own log says more"

REFUSED: Final = ("chat_template", "chat_template_kwargs", "generation_config", "functions", "logit_bias")
"""Fields that would change how a prompt is written or computed. Others that are not understood are ignored: so are
`tools`, which every agent sends, and whose use the protocol leaves to the model.
"""

WITHOUT_TOOLS: Final = ("auto", "none", None)
"""Values of `tool_choice` that an answer without a call of a tool does justice to."""


ROLES: Final = {"developer": "system"}


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: str


class Turn(BaseModel):
    """A message."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def text(self) -> str:
        """Its parts together."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """How a stream is told."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """What a request may say."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[Turn] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=10)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: str | list[str] | None = Field(default=None, max_length=16)

    @property
    def new_tokens(self) -> int:
        """Longest answer, in tokens."""
        return min(self.max_tokens or self.max_completion_tokens or NEW_TOKENS, MAX_NEW_TOKENS)

    @property
    def stops(self) -> list[str]:
        """Texts at which the answer ends."""
        return [self.stop] if isinstance(self.stop, str) else [text for text in self.stop or () if text]


class Answering(Protocol):
    """An answer on its way."""

    queue: asyncio.Queue[Any]
    """Pieces of text, then None; something else is an error."""

    def tokens(self) -> int:
        """How many were generated until now."""
        ...

    def cancel(self) -> None:
        """Ends it at its next token."""


class Engine(Protocol):
    """Models by name."""

    names: Sequence[str]
    """The first is the one that clients take by default."""
    context_tokens: int

    def look_up(self, model: str, question: str) -> list[Passage]:
        """Passages to put before a question to this model, best first; none for a closed-book one."""
        ...

    def prompt(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids that ask for the next turn; whatever a turn spells is text.

        Raises:
            ValueError: the model's template refuses the conversation.
        """
        ...

    def start(self, asked: ChatRequest, prompt: list[int], new_tokens: int, seconds: float) -> Answering:
        """Begins an answer of at most `new_tokens` tokens; called in the event loop."""
        ...


@dataclass(frozen=True)
class Prepared:
    """A request as the model gets it."""

    prompt: list[int]
    new_tokens: int
    """Longest answer that fits behind it."""
    question: str
    shown: Sequence[Passage] | None
    """Passages before the question, maybe none; null for a model that is asked closed book."""


@dataclass(frozen=True)
class Limits:
    """What a server of a release refuses."""

    key: str | None
    """Bearer token that every request must bear; None = none."""
    hosts: tuple[str, ...]
    """Names under which it may be asked; empty = any."""
    body_bytes: int = MAX_BODY_BYTES
    waiting: int = MAX_WAITING
    seconds: float = MAX_SECONDS


def application(engine: Engine, limits: Limits) -> ASGIApp:
    """The server's ASGI application."""
    app = FastAPI(openapi_url=None)
    metrics = Metrics()
    busy = 0

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics")
    async def counts() -> Response:
        return metrics.page()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "rawtune"} for name in engine.names]
        return {"object": "list", "data": rows}

    @app.post("/v1/chat/completions")
    async def complete(asked: ChatRequest, request: Request) -> Response:
        nonlocal busy
        prepared = _prepared(engine, asked)
        new_tokens = prepared.new_tokens
        if busy >= limits.waiting:
            raise HTTPException(429, f"{busy} requests are waiting; ask again later")
        busy += 1
        begun = metrics.begun()
        answer = engine.start(asked, prepared.prompt, new_tokens, limits.seconds)
        identifier = f"chatcmpl-{uuid.uuid4().hex}"

        def over() -> None:
            nonlocal busy
            busy -= 1
            metrics.over(asked.model, len(prepared.prompt), answer.tokens(), begun)
            answer.cancel()  # of one that has ended this does nothing

        if asked.stream:
            return Stream(_events(identifier, asked, answer, prepared), over)
        try:
            text = await _until_dropped(request, _whole(answer))
        finally:
            over()
        if text is None:
            return Response(status_code=499)  # nobody reads it; the number is nginx's for a client that has gone
        told = _told(prepared, text)
        message = {"role": "assistant", "content": text + told.text}
        choice = {"index": 0, "message": message, "finish_reason": _reason(answer, new_tokens), "logprobs": None}
        usage = _usage(len(prepared.prompt), answer.tokens())
        return JSONResponse(_document(identifier, asked, "chat.completion", choice) | {"usage": usage} | told.fields)

    @app.exception_handler(StarletteHTTPException)
    async def explain(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, StarletteHTTPException)
        return _error(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def explain_request(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body")
        return _error(400, f"{field or 'body'}: {first['msg']}")

    @app.exception_handler(Exception)
    async def hide(_: Request, error: Exception) -> JSONResponse:
        return _error(500, f"the server could not answer ({type(error).__name__}); its own log says more")

    return metrics.counting(Guard(app, limits))


class Guard:
    """Checks host, key, size and arrival time of every request before a byte of it is parsed."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers or passes on a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope["method"], headers)
        body = b""
        if refusal is None:
            try:
                body = await asyncio.wait_for(self._body(receive), MAX_BODY_SECONDS)
            except TimeoutError:
                refusal = _error(408, "the request did not arrive in time")
            if len(body) > self.limits.body_bytes:
                refusal = _error(413, f"a request may have {self.limits.body_bytes:,} bytes")
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, whole, send)

    def _refusal(self, method: str, headers: dict[bytes, str]) -> JSONResponse | None:
        host = headers.get(b"host", "")
        name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
        if self.limits.hosts and name.lower() not in self.limits.hosts:
            return _error(421, "this server does not answer for that host")
        if self.limits.key is not None:
            kind, _, key = headers.get(b"authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self.limits.key.encode()):
                return _error(401, "the API key is missing or wrong")
        content = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and content != "application/json":  # which a page of another origin cannot send unasked
            return _error(415, "a request is application/json")
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self.limits.body_bytes:
            return _error(413, f"a request may have {self.limits.body_bytes:,} bytes")
        return None

    async def _body(self, receive: Receive) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while size <= self.limits.body_bytes:
            message = await receive()
            piece = message.get("body", b"")
            pieces.append(piece)
            size += len(piece)
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                break
        return b"".join(pieces)


class Stream(StreamingResponse):
    """Server-sent events; `over` is called however they end, also when nobody has read the first."""

    def __init__(self, events: AsyncIterator[str], over: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()


def _prepared(engine: Engine, asked: ChatRequest) -> Prepared:
    """The prompt, with as many passages as leave room for the answer, and the longest answer that fits behind it."""
    refused = [name for name in REFUSED if (asked.model_extra or {}).get(name)]
    if refused:
        raise HTTPException(400, f"{refused[0]}: this server does not take it")
    if (asked.model_extra or {}).get("tool_choice") not in WITHOUT_TOOLS:
        raise HTTPException(400, "tool_choice: these models call no tools; leave it out or say none")
    if asked.model not in engine.names:
        names = ", ".join(sorted(engine.names))
        raise HTTPException(404, f"there is no model {asked.model[:100]!r}; this server has {names}")
    *earlier, (role, question) = [(ROLES.get(turn.role, turn.role), turn.text) for turn in asked.messages]
    before = [(name, without_sources(text) if name == "assistant" else text) for name, text in earlier]
    looks_up = asked.model.endswith(RETRIEVAL) and role == "user"
    shown = engine.look_up(asked.model, question) if looks_up else []
    while True:
        try:
            prompt = engine.prompt([*before, (role, with_passages(question, shown))])
        except ValueError as error:
            raise HTTPException(400, f"messages: {error}") from error
        room = engine.context_tokens - len(prompt)
        if not shown or room >= asked.new_tokens:
            break
        shown = shown[:-1]
    if room < 1:
        raise HTTPException(400, f"messages: {len(prompt):,} tokens; the model reads {engine.context_tokens:,}")
    return Prepared(prompt, min(asked.new_tokens, room), question, shown if looks_up else None)


class _Told(NamedTuple):
    """The sources of an answer: behind its text for people, as a field for programs."""

    text: str
    fields: dict[str, Any]


def _told(prepared: Prepared, answer: str) -> _Told:
    if prepared.shown is None:
        return _Told("", {})
    places = sources(prepared.question, answer, prepared.shown)
    return _Told(listed(places), {"sources": [one.model_dump(mode="json") for one in places]})


async def _whole(answer: Answering) -> str:
    pieces: list[str] = []
    while (piece := await answer.queue.get()) is not None:
        if not isinstance(piece, str):
            raise HTTPException(500, FAILED)
        pieces.append(piece)
    return "".join(pieces)


async def _until_dropped(request: Request, work: Awaitable[str]) -> str | None:
    """What the work comes to; None if whoever asked went away first."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for one in (task, gone):
            one.cancel()


async def _gone(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _events(identifier: str, asked: ChatRequest, answer: Answering, prepared: Prepared) -> AsyncIterator[str]:
    def event(delta: dict[str, str], reason: str | None = None, **fields: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return f"data: {json.dumps(_document(identifier, asked, 'chat.completion.chunk', choice) | fields)}\n\n"

    yield event({"role": "assistant", "content": ""})
    whole = ""
    is_over = False
    while not is_over:
        pieces = [await answer.queue.get()]
        while not answer.queue.empty():  # a reader that is slower than the model gets fewer and longer events
            pieces.append(answer.queue.get_nowait())
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        if text:
            whole += text
            yield event({"content": text})
        if any(not isinstance(piece, str | None) for piece in pieces):
            yield f"data: {json.dumps({'error': {'message': FAILED, 'type': 'server_error'}})}\n\n"
            return
        is_over = None in pieces
    told = _told(prepared, whole)
    if told.text:
        yield event({"content": told.text})
    yield event({}, _reason(answer, prepared.new_tokens), **told.fields)
    if asked.stream_options is not None and asked.stream_options.include_usage:
        last = _document(identifier, asked, "chat.completion.chunk") | {
            "usage": _usage(len(prepared.prompt), answer.tokens())
        }
        yield f"data: {json.dumps(last)}\n\n"
    yield "data: [DONE]\n\n"


def _reason(answer: Answering, new_tokens: int) -> str:
    return "length" if answer.tokens() >= new_tokens else "stop"


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _document(identifier: str, asked: ChatRequest, kind: str, *choices: dict[str, Any]) -> dict[str, Any]:
    return {"id": identifier, "object": kind, "created": int(time.time()), "model": asked.model, "choices": choices}


def _error(status: int, message: str) -> JSONResponse:
    """As OpenAI words errors, so that clients show the text."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)
