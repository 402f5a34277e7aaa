"""The child job behind `chat`, `ask` and `serve`: an OpenAI-compatible server of a base model and its tuned twin.

The protocol is transformers' own (`transformers serve`, transformers 5.17); what is ours is that base and tuned share
one set of weights, that they are called `base` and `tuned`, and that the fields editors send are understood. Loopback
is the default; nothing else is ever listened on unless it was asked for.
"""

from __future__ import annotations

import copy
import os
import socket
import time
from typing import Any

import uvicorn
from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse
from transformers import AutoTokenizer, GenerationConfig
from transformers.cli.serving.chat_completion import ChatCompletionHandler
from transformers.cli.serving.completion import CompletionHandler
from transformers.cli.serving.model_manager import ModelManager
from transformers.cli.serving.response import ResponseHandler
from transformers.cli.serving.server import build_server
from transformers.cli.serving.transcription import TranscriptionHandler
from transformers.cli.serving.utils import GenerationState

from tasks.model.child_main import Report
from tasks.model.loading import load
from tasks.release.requests import ServeRequest

MAX_NEW_TOKENS = 512
"""Longest answer where the request names no limit."""


def serve(request: ServeRequest, report: Report) -> dict[str, Any]:
    """Serves until it is ended.

    Args:
        request: what is served, and where.
        report: told `url`, `pid` and `seconds` of loading once the server answers.
    """
    began = time.monotonic()
    models = Models(str(request.model), str(request.release))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((request.host, request.port))
    host, port = listener.getsockname()[:2]
    facts = {"url": f"http://{host}:{port}/v1", "pid": os.getpid(), "seconds": round(time.monotonic() - began, 3)}
    server = _Server(uvicorn.Config(_application(models), log_level="warning"), lambda: report(facts))
    server.run(sockets=[listener])
    return {}


class Models(ModelManager):  # type: ignore[misc]  # transformers has no types here
    """`base` and `tuned`, loaded once and never unloaded."""

    def __init__(self, model: str, release: str) -> None:
        super().__init__(model_timeout=-1)
        from peft import PeftModel

        base = load(model)
        base.generation_config = GenerationConfig.from_pretrained(release)
        base.generation_config.max_new_tokens = None
        weights = {id(tensor): tensor for tensor in [*base.parameters(), *base.buffers()]}
        twin = copy.deepcopy(base, weights)  # the same tensors: the adapter is all that the twin adds to memory
        tuned = PeftModel.from_pretrained(twin, release).base_model.model.eval()
        self.served: dict[str, Any] = {"base": base, "tuned": tuned}
        self.tokenizer = AutoTokenizer.from_pretrained(release)

    def load_model_and_processor(self, model_id_and_revision: str, *_: Any, **__: Any) -> tuple[Any, Any]:
        """The model of that name; nothing is ever loaded because a request names it."""
        name = model_id_and_revision.split("@")[0]
        if name not in self.served:
            raise HTTPException(404, f"there is no model {name!r}; this server has {', '.join(self.served)}")
        return self.served[name], self.tokenizer

    def get_gen_models(self, cache_dir: str | None = None) -> list[dict[str, Any]]:
        """What /v1/models lists; the tuned model first, because clients take the first."""
        return [{"id": name, "object": "model", "created": 0, "owned_by": "rawtune"} for name in ("tuned", "base")]


class Chat(ChatCompletionHandler):  # type: ignore[misc]  # transformers has no types here
    """Understands the newer name of `max_tokens`, and a temperature although greedy is the default."""

    async def handle_request(self, body: dict[str, Any], request_id: str) -> Any:
        """Answers a request."""
        if body.get("max_tokens") is None:
            body["max_tokens"] = body.get("max_completion_tokens") or MAX_NEW_TOKENS
        return await super().handle_request(body, request_id)

    def _build_generation_config(self, body: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        config = super()._build_generation_config(body, *args, **kwargs)
        config.do_sample = bool(body.get("temperature"))
        if not config.do_sample:
            config.temperature = config.top_p = config.top_k = None
        return config


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Any) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()


def _application(models: Models) -> Any:
    state = GenerationState()
    app = build_server(
        models,
        Chat(models, state),
        completion_handler=CompletionHandler(models, state),
        response_handler=ResponseHandler(models, state),
        transcription_handler=TranscriptionHandler(models, state),
        generation_state=state,
    )

    async def explain(_: Request, error: Exception) -> JSONResponse:
        """Errors as OpenAI words them, so that clients show the text."""
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": {"message": error.detail, "type": "invalid_request_error"}}, error.status_code)

    app.add_exception_handler(HTTPException, explain)
    return app
