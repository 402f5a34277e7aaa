"""What a served release counts of itself for Prometheus: requests by status, tokens and seconds by model.

No question, no answer and no name of who asks is among it.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bounds of the histogram of answers, up to the longest computation."""


class Metrics:
    """Counts of one server; several in one process do not share them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("rawtune_requests", "HTTP requests answered", ["status"], registry=self._registry)
        self._prompts = Counter("rawtune_prompt_tokens", "Tokens read", ["model"], registry=self._registry)
        self._answers = Counter("rawtune_answer_tokens", "Tokens written", ["model"], registry=self._registry)
        self._busy = Gauge("rawtune_requests_under_way", "Answers begun and not over", registry=self._registry)
        self._seconds = Histogram(
            "rawtune_answer_seconds", "From request to last token", ["model"], buckets=SECONDS, registry=self._registry
        )

    def begun(self) -> float:
        """An answer begins; gives the time that `over` wants."""
        self._busy.inc()
        return time.monotonic()

    def over(self, model: str, prompt_tokens: int, answer_tokens: int, begun: float) -> None:
        """An answer is over, whole, failed or dropped."""
        self._busy.dec()
        self._prompts.labels(model).inc(prompt_tokens)
        self._answers.labels(model).inc(answer_tokens)
        self._seconds.labels(model).observe(time.monotonic() - begun)

    def page(self) -> Response:
        """Prometheus's text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def counting(self, app: ASGIApp) -> ASGIApp:
        """The application, with every answered request counted, refused ones too."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._requests.labels(str(message["status"])).inc()
                await send(message)

            await app(scope, receive, noted)

        return counted
