"""The emulator speaks to the real client as OpenAI's service does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest

from tests.emulators.openai_api import Fault, OpenAIEmulator
from tests.emulators.openai_api.wire import prompt_tokens

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": {"type": "string"}},
}


@pytest.fixture
def client(server: OpenAIEmulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0, timeout=5) as made:
        yield made


def body(**more: object) -> dict[str, object]:
    return {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello there"}], **more}


def strict(schema: dict[str, object]) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": schema}}


def test_completion_with_a_schema_is_json_of_it_and_usage_is_counted(
    client: openai.OpenAI, server: OpenAIEmulator
) -> None:
    request = body(response_format=strict(SCHEMA))
    completion = client.chat.completions.create(**request)  # type: ignore[call-overload]
    assert json.loads(completion.choices[0].message.content) == {"name": "text"}
    assert completion.usage.prompt_tokens == prompt_tokens(request) == server.billed[0].input_tokens
    assert [received.body["model"] for received in server.received] == ["gpt-5-mini"]


def test_stream_joins_to_the_completion_and_ends_with_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(**body(stream=True, stream_options={"include_usage": True}))  # type: ignore[call-overload]
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "You said: hello there"
    assert chunks[-1].usage.completion_tokens > 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("rate-limit", retry_after=2), openai.RateLimitError),
        (Fault("quota"), openai.RateLimitError),
        (Fault("server-error"), openai.InternalServerError),
        (Fault("overloaded"), openai.InternalServerError),
        (Fault("reset"), openai.APIConnectionError),
        (Fault("broken-body"), json.JSONDecodeError),
        (Fault("moderation"), openai.BadRequestError),
    ],
)
def test_fault_reaches_the_client_as_its_error(
    client: openai.OpenAI, server: OpenAIEmulator, fault: Fault, error: type[Exception]
) -> None:
    server.faults.append(fault)
    with pytest.raises(error):
        client.chat.completions.create(**body())  # type: ignore[call-overload]
    assert client.chat.completions.create(**body()).choices[0].finish_reason == "stop"  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("fault", "content", "finish", "refusal"),
    [
        (Fault("truncated"), "You said", "length", False),
        (Fault("refusal"), None, "stop", True),
        (Fault("content-filter"), "", "content_filter", False),
        (Fault("empty"), None, "stop", False),
        (Fault("wrong-shape"), '{"unexpected": [1, 2, 3]}', "stop", False),
    ],
)
def test_fault_in_content_comes_as_a_completion(
    client: openai.OpenAI, server: OpenAIEmulator, fault: Fault, content: str | None, finish: str, refusal: bool
) -> None:
    server.faults.append(fault)
    choice = client.chat.completions.create(**body()).choices[0]  # type: ignore[call-overload]
    assert (choice.finish_reason, bool(choice.message.refusal)) == (finish, refusal)
    assert (choice.message.content or "").startswith(content or "")
    assert len(server.billed) == 1


def test_hanging_server_meets_the_clients_timeout(server: OpenAIEmulator) -> None:
    server.faults.append(Fault("hang", seconds=0.5))
    with (
        openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0, timeout=0.1) as impatient,
        pytest.raises(openai.APITimeoutError),
    ):
        impatient.chat.completions.create(**body())  # type: ignore[call-overload]
    assert len(server.billed) == 1


def test_open_schema_is_refused_under_strict(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="additionalProperties"):
        client.chat.completions.create(**body(response_format=strict({"type": "object", "properties": {}})))  # type: ignore[call-overload]


def test_wrong_key_and_unknown_model_are_refused(client: openai.OpenAI, server: OpenAIEmulator) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**body(model="nothing"))  # type: ignore[call-overload]
    server.settings.api_key = "secret"
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_batch_of_three_that_expires_after_two_gives_two_answers_and_an_error(
    client: openai.OpenAI, server: OpenAIEmulator
) -> None:
    server.settings.batch_done, server.settings.batch_polls = 0.5, 1
    lines = [
        json.dumps({"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body()})
        for number in range(3)
    ]
    file = client.files.create(file=("batch.jsonl", "\n".join(lines).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"mark": "m"}
    )
    assert client.batches.retrieve(batch.id).status == "in_progress"
    ended = client.batches.retrieve(batch.id)
    assert (ended.status, ended.request_counts.completed, ended.request_counts.failed) == ("expired", 2, 1)
    outputs = [json.loads(line) for line in client.files.content(ended.output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in outputs] == ["0", "1"]
    (error,) = [json.loads(line) for line in client.files.content(ended.error_file_id).text.splitlines()]
    assert (error["custom_id"], error["error"]["code"]) == ("2", "batch_expired")
    assert [entry.metadata for entry in client.batches.list(limit=1)] == [{"mark": "m"}]
    assert all(billed.batch for billed in server.billed)
