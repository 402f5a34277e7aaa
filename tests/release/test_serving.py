"""A release served by a child process, asked through the openai client."""

import pytest
from openai import NotFoundError, OpenAI

from tasks.base.store import Store
from tasks.release.serving import messages_of, serving, stream_answer
from tests.release.conftest import Release


@pytest.mark.slow
def test_serving_base_and_tuned_answer_differently_and_greedily(store: Store, made_whole: Release) -> None:
    release = made_whole(1)
    with serving(store, release) as endpoint:
        client = OpenAI(base_url=endpoint.url, api_key=endpoint.key, max_retries=0)
        assert endpoint.url.startswith("http://127.0.0.1:")
        assert [model.id for model in client.models.list()] == ["tuned", "base"]
        messages = messages_of("What is this?")
        answers = {
            model: ["".join(stream_answer(endpoint, model, messages, max_tokens=8)) for _ in range(2)]
            for model in ("base", "tuned")
        }
        assert answers["base"][0] == answers["base"][1]
        assert answers["tuned"][0] == answers["tuned"][1]
        assert answers["base"][0] != answers["tuned"][0]
        sampled = {
            "".join(stream_answer(endpoint, "tuned", messages, max_tokens=8, temperature=5.0, seed=seed))
            for seed in range(4)
        }
        assert len(sampled) > 1
        whole = client.chat.completions.create(
            model="tuned", messages=[{"role": "user", "content": "What is this?"}], max_completion_tokens=8, user="me"
        )
        assert whole.choices[0].message.content == answers["tuned"][0]
        assert whole.usage is not None
        assert whole.usage.completion_tokens <= 8
        with pytest.raises(NotFoundError, match="has base, tuned"):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "?"}])
