"""What may go wrong with one request, as OpenAI's service and self-hosted servers do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "rate-limit",  # 429 rate_limit_exceeded, with Retry-After if `retry_after` is set
    "quota",  # 429 insufficient_quota
    "server-error",  # 500
    "overloaded",  # 503 with an HTML body
    "hang",  # answers (and bills) after `seconds`
    "reset",  # the connection ends in the middle of the body; billed
    "broken-body",  # 200 with a body that is not JSON; billed
    "malformed",  # content that is not JSON
    "wrong-shape",  # content that is JSON of another schema
    "truncated",  # finish_reason length, content cut in the middle
    "refusal",  # message.refusal
    "content-filter",  # finish_reason content_filter
    "empty",  # content null
    "moderation",  # 400 content_policy_violation
]


@dataclass(frozen=True)
class Fault:
    """One fault; the server takes it from its queue for the next chat completion."""

    kind: Kind
    retry_after: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Received:
    """One chat completion request that reached the server."""

    number: int
    body: dict[str, Any]
    batch: bool = False
