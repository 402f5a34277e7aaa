"""The child job behind `chat`, `ask` and `serve`: base and tuned model with one set of weights.

They stand behind the server of `chat_api.py`. Generation and its streams are transformers' own (`transformers serve`,
transformers 5.17).
"""

from __future__ import annotations

import asyncio
import copy
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
import uvicorn
from transformers import AutoTokenizer, GenerationConfig
from transformers.cli.serving.utils import GenerateManager

from tasks.base.errors import InputError
from tasks.base.records import Message
from tasks.model.child_main import Report
from tasks.model.loading import load
from tasks.release.chat_api import ChatRequest, Limits, application
from tasks.release.requests import RETRIEVAL, ServeRequest, served_models
from tasks.retrieval.index import Index
from tasks.retrieval.passages import Passage
from tasks.text.chat import prompt_ids
from tasks.text.tokenizer import TextTokenizer

IDLE_SECONDS: Final = 30
"""A connection that asks nothing is closed after this."""
MAX_CONNECTIONS: Final = 256


def serve(request: ServeRequest, report: Report) -> dict[str, Any]:
    """Serves until it is ended.

    Args:
        request: what is served, and where.
        report: told `url`, `pid` and `seconds` of loading once the server answers.
    """
    began = time.monotonic()
    models = Models(request)
    family = socket.AF_INET6 if ":" in request.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((request.host, request.port))
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}/v1" if family == socket.AF_INET6 else f"http://{host}:{port}/v1"
    facts = {"url": url, "pid": os.getpid(), "seconds": round(time.monotonic() - began, 3)}
    limits = Limits(request.key, request.hosts)
    config = uvicorn.Config(
        application(models, limits),
        log_level="warning",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        server_header=False,
    )
    _Server(config, lambda: report(facts)).run(sockets=[listener])
    return {}


class Models:
    """`tuned` and `base`, and with an index both with passages before the question.

    They are loaded once and never unloaded. Nothing is ever loaded because a request names it.
    """

    def __init__(self, request: ServeRequest) -> None:
        from peft import PeftModel

        release = request.release
        self.names: Sequence[str] = served_models(request.sources is not None)
        self._index = Index.open(request.sources) if request.sources is not None else None
        self._retrieved_passages = request.retrieved_passages
        base = load(request.model)
        base.generation_config = GenerationConfig.from_pretrained(release)
        weights = {id(tensor): tensor for tensor in [*base.parameters(), *base.buffers()]}
        twin = copy.deepcopy(base, weights)  # the same tensors: the adapter is all that the twin adds to memory
        tuned = PeftModel.from_pretrained(twin, release).base_model.model.eval()
        self._models: dict[str, Any] = {"base": base, "tuned": tuned}
        self._processor = AutoTokenizer.from_pretrained(release)
        self._tokenizer = TextTokenizer.load(release)
        self._managers = {name: GenerateManager() for name in self._models}  # a thread each: they answer side by side
        self.context_tokens = int(base.config.get_text_config().max_position_embeddings)

    def prompt(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids that ask for the next turn."""
        try:
            messages = [Message.model_validate({"role": role, "content": text}) for role, text in turns]
            return prompt_ids(self._tokenizer, messages)
        except InputError as error:
            raise ValueError("the model's chat template refuses the conversation") from error

    def look_up(self, model: str, question: str) -> list[Passage]:
        """The passages that stand before a question to this model, best first; none without retrieval."""
        if self._index is None or not model.endswith(RETRIEVAL):
            return []
        return self._index.search(question, self._retrieved_passages)

    def start(self, asked: ChatRequest, prompt: list[int], new_tokens: int, seconds: float) -> Answer:
        """Begins an answer: greedy unless a temperature is asked for."""
        name = asked.model.removesuffix(RETRIEVAL)
        model = self._models[name]
        config = copy.deepcopy(model.generation_config)
        config.max_new_tokens, config.max_time = new_tokens, seconds
        config.do_sample = bool(asked.temperature)
        config.temperature = asked.temperature if config.do_sample else None
        config.top_p = asked.top_p if config.do_sample else None
        config.top_k = None
        config.stop_strings = asked.stops or None
        if asked.seed is not None:
            torch.manual_seed(asked.seed)
        ids = torch.tensor([prompt], device=model.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return Answer(*self._managers[name].generate_streaming(model, self._processor, inputs, config, ""))


class Answer:
    """An answer on its way."""

    def __init__(self, queue: asyncio.Queue[Any], streamer: Any) -> None:
        self.queue, self._streamer = queue, streamer

    def tokens(self) -> int:
        """How many were generated until now."""
        return int(self._streamer.total_tokens)

    def cancel(self) -> None:
        """Ends it at its next token."""
        self._streamer.cancel()


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()
