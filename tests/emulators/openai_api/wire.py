"""What goes over the wire: errors, event streams, multipart forms, token counts, the rules for strict schemas."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

from bpe_openai import get_encoding
from starlette.responses import JSONResponse, Response

CREATED = 1_700_000_000
"""Every `created` field: an emulator's answers do not depend on the clock."""


def prompt_tokens(body: dict[str, Any]) -> int:
    """Input tokens of a request as OpenAI counts them: 3 for each message and 3 for the reply, plus the schema's
    text.
    """
    wanted = body.get("response_format") or {}
    schema = json.dumps(wanted["json_schema"]["schema"]) if wanted.get("type") == "json_schema" else ""
    texts = [message["role"] + (message["content"] or "") for message in body["messages"]]
    return sum(3 + len(encoded(text)) for text in texts) + 3 + len(encoded(schema))


def strict_problem(schema: dict[str, Any], path: str = "") -> str:
    """Why OpenAI would refuse a schema under `strict`: every object must be closed and require all it has; empty if
    fine.
    """
    for name, part in schema.get("$defs", {}).items():
        if problem := strict_problem(part, f"$defs.{name}"):
            return problem
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"In context=({path}), 'additionalProperties' is required to be supplied and to be false."
        if sorted(schema.get("required", [])) != sorted(schema.get("properties", {})):
            return f"In context=({path}), 'required' is required to be an array including every key in properties."
        for name, part in schema["properties"].items():
            if problem := strict_problem(part, f"{path}.{name}"):
                return problem
    return strict_problem(schema["items"], f"{path}[]") if schema.get("type") == "array" else ""


@cache
def encoding() -> Any:
    """The encoding that tokens are counted with."""
    return get_encoding("o200k_base")


def encoded(text: str) -> list[int]:
    """Token ids of a text."""
    return list(encoding().encode_ordinary(text))


def error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    kind = "invalid_request_error" if status < 429 else "requests" if status == 429 else "server_error"
    document = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return JSONResponse(document, status, headers)


def json_of(response: Response) -> Any:
    try:
        return json.loads(bytes(response.body))
    except ValueError:
        return None


async def torn() -> AsyncIterator[bytes]:
    yield b'{"id": "chatcmpl-1", "object": "chat.comp'
    raise ConnectionResetError("emulated")


async def events(completion: dict[str, Any], usage: bool) -> AsyncIterator[str]:
    content = completion["choices"][0]["message"]["content"] or ""
    head = {**{key: completion[key] for key in ("id", "created", "model")}, "object": "chat.completion.chunk"}
    pieces = [content[at : at + 16] for at in range(0, len(content), 16)]
    for delta in [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]:
        yield _event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    finish = completion["choices"][0]["finish_reason"]
    yield _event(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage:
        yield _event(head | {"choices": [], "usage": completion["usage"]})
    yield "data: [DONE]\n\n"


def _event(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document)}\n\n"


def multipart(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Fields of a multipart form: name to (file name, content)."""
    boundary = b"--" + content_type.split("boundary=")[1].strip('"').encode()
    fields: dict[str, tuple[str, bytes]] = {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        words = dict(
            item.strip().split("=", 1) for item in head.decode().split("\r\n")[0].split(";")[1:] if "=" in item
        )
        fields[words["name"].strip('"')] = (words.get("filename", "").strip('"'), content.removesuffix(b"\r\n"))
    return fields
