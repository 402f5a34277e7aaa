"""Calls as requests of the chat completions API, and its answers and errors as replies.

Servers differ: which `response_format` they know and what they call the output limit is found out from their first
refusal, once, and kept in `Dialect`.
"""

from __future__ import annotations

import email.utils
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tasks.llm.calls import Call, Reply, Usage

if TYPE_CHECKING:
    from openai import APIStatusError

MAX_PAUSE: Final = 300.0
"""Seconds; a longer Retry-After is not believed."""

MODERATION_CODES: Final = frozenset({"content_policy_violation", "moderation_blocked", "content_filter"})

Format = Literal["json_schema", "json_object", "text"]


@dataclass
class Dialect:
    """What a server understands; begins with the most and learns."""

    format: Format = "json_schema"
    token_field: str = "max_completion_tokens"
    token_fields_tried: int = 1

    def learn(self, error: APIStatusError, sent: dict[str, Any]) -> bool:
        """Whether the server refused the request's form, so that it can be sent again in a simpler one."""
        text = str(error.message).lower()
        code = str(error.code or "")
        if error.status_code not in (400, 404, 422, 500, 501) or code in MODERATION_CODES:
            return False
        if "max_tokens" in text or "max_completion_tokens" in text:
            if self.token_field not in sent:
                return True
            other = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
            self.token_field, self.token_fields_tried = other[self.token_field], self.token_fields_tried + 1
            return self.token_fields_tried <= 2
        if any(word in text for word in ("response_format", "json_schema", "json_object", "schema")):
            if sent.get("response_format", {"type": "text"})["type"] != self.format:
                return True
            simpler: dict[Format, Format] = {"json_schema": "json_object", "json_object": "text"}
            if self.format in simpler:
                self.format = simpler[self.format]
                return True
        return False


def request_body(call: Call, dialect: Dialect) -> dict[str, Any]:
    """The request of a call. Without JSON schema on the server the schema goes into the prompt, after the document."""
    messages = [message.model_dump() for message in call.messages]
    body: dict[str, Any] = {
        "model": call.model,
        "messages": messages,
        dialect.token_field: call.max_output_tokens,
    }
    if call.temperature is not None:
        body["temperature"] = call.temperature
    if call.reasoning_effort is not None:
        body["reasoning_effort"] = call.reasoning_effort
    if dialect.format == "json_schema":
        shape = {"name": call.name, "strict": True, "schema": call.json_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
        return body
    schema = json.dumps(call.json_schema, ensure_ascii=False)
    first = next(message for message in messages if message["role"] == "user")
    first["content"] += f"\n\nReply with nothing but JSON of the JSON schema `{call.name}`:\n{schema}"
    if dialect.format == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def reply_of(completion: Any) -> Reply:
    """The reply in a chat completion, given as the JSON document.

    Raises:
        ValueError: the document is not a chat completion.
    """
    try:
        choice = completion["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("not a chat completion") from error
    usage = usage_of(completion.get("usage"))
    if message.get("refusal"):
        return Reply("", "refused", str(message["refusal"]), usage)
    content = message.get("content") or ""
    if finish == "content_filter":
        return Reply(content, "moderated", "finish_reason content_filter", usage)
    if finish == "length":
        return Reply(content, "truncated", "the output limit cut the answer off", usage)
    return Reply(content, "", "", usage)


def usage_of(document: Any) -> Usage | None:
    """Usage as the server reports it; None if it does not or if a count is no whole number."""
    if not isinstance(document, dict):
        return None
    details = document.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    counts = (document.get("prompt_tokens"), 0 if cached is None else cached, document.get("completion_tokens") or 0)
    if not all(isinstance(count, int) and not isinstance(count, bool) for count in counts):
        return None
    return Usage(*counts)  # type: ignore[arg-type]


def retry_after(headers: Any) -> float | None:
    """Seconds that the server asks to wait; None if it does not.

    Read from `retry-after-ms`, or from `retry-after` as seconds or as a date.
    """
    try:
        if "retry-after-ms" in headers:
            return min(MAX_PAUSE, max(0.0, float(headers["retry-after-ms"]) / 1000))
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.replace(".", "", 1).isdigit():
            return min(MAX_PAUSE, float(value))
        date = email.utils.parsedate_to_datetime(value)
        return min(MAX_PAUSE, max(0.0, date.timestamp() - time.time()))
    except (ValueError, TypeError):
        return None
