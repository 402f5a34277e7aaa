"""The parent's side of serving a release: starts the child with the models, says where it answers."""

from __future__ import annotations

import ipaddress
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tasks.base.artifacts import Artifact
from tasks.base.errors import ChildError, InputError, RawtuneError
from tasks.base.store import Store
from tasks.model.child import run_child
from tasks.release.lineage import base_of
from tasks.release.requests import ServeRequest
from tasks.release.sources import index_of

LOOPBACK: Final = "127.0.0.1"
LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
"""Names under which a server on loopback may be asked; a page that has another name pointed here is refused."""
KEY_VARIABLE: Final = "RAWTUNE_API_KEY"
"""Environment variable: the key that requests to `rawtune serve` must bear."""
MIN_KEY_CHARACTERS: Final = 16
START_SECONDS: Final = 1800.0
"""Loading a large base model from a slow disk takes minutes."""


class Endpoint(BaseModel):
    """Where a release is served, with OpenAI's protocol and the models `tuned` and `base`."""

    model_config = ConfigDict(frozen=True)

    url: str
    """Ends with /v1."""
    pid: int
    seconds: float
    """How long loading took."""
    key: str | None = Field(default=None, repr=False)
    """What requests must bear as their API key."""


def serve_release(
    store: Store,
    release: Artifact,
    host: str,
    port: int,
    key: str | None,
    ready: Callable[[Endpoint], None] = lambda _: None,
    sources: bool = False,
) -> None:
    """Serves a release until the process is interrupted.

    Args:
        store: holds the release and its base model.
        release: the release folder.
        host: address to listen on; loopback unless somebody asked for more.
        port: 0 takes any free port.
        key: that requests must bear; None = none, on loopback only.
        ready: called once, when the server answers.
        sources: whether the models `tuned-retrieval` and `base-retrieval` are served too.

    Raises:
        InputError: the address is not one of loopback and there is no key, or one that can be guessed; or the release
            has no index of its sources.
    """
    is_local = host == "localhost" or _is_loopback(host)
    if not is_local and key is None:
        raise InputError(f"serve: {host} can be reached from other machines; set {KEY_VARIABLE} to a key for them")
    if key is not None and len(key) < MIN_KEY_CHARACTERS:
        raise InputError(f"{KEY_VARIABLE}: too short; take {MIN_KEY_CHARACTERS} random characters or more")
    folder, looked_up = index_of(store, release) if sources else (None, None)
    request = ServeRequest(
        model=store.checkout(base_of(store, release)),
        release=store.checkout(release),
        host=host,
        port=port,
        key=key,
        hosts=LOCAL_HOSTS if is_local else (),
        sources=folder,
        retrieved_passages=looked_up.retrieved_passages if looked_up else 0,
    )
    # not exclusive: it computes only while it answers, and must not keep a nightly run from training
    run_child(
        "tasks.release.serve_job:serve",
        request,
        lambda facts: ready(Endpoint.model_validate({**facts, "key": key})),
        exclusive=False,
    )


@contextmanager
def serving(store: Store, release: Artifact, sources: bool = False) -> Iterator[Endpoint]:
    """Serves a release on a free loopback port inside the block; `sources` as in `serve_release`.

    Raises:
        ChildError: the server did not start.
    """
    started = threading.Event()
    endpoints: list[Endpoint] = []
    failed: list[RawtuneError] = []

    def ready(endpoint: Endpoint) -> None:
        endpoints.append(endpoint)
        started.set()

    def run() -> None:
        try:
            serve_release(store, release, LOOPBACK, 0, secrets.token_urlsafe(), ready, sources)
        except RawtuneError as error:  # also raised when the block ends, which nobody needs to hear about
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="serving", daemon=True)
    thread.start()
    if not started.wait(START_SECONDS) or not endpoints:
        raise failed[0] if failed else ChildError("the model server did not start in time")
    try:
        yield endpoints[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(endpoints[0].pid, signal.SIGKILL)
        thread.join(timeout=10)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def messages_of(question: str, system: str = "", history: list[dict[str, str]] | None = None) -> list[dict[str, Any]]:
    """A conversation as the server takes it; an empty system prompt leaves the model's own."""
    opening = [{"role": "system", "content": system}] if system else []
    return [*opening, *(history or []), {"role": "user", "content": question}]


def stream_answer(
    endpoint: Endpoint,
    model: str,
    messages: list[dict[str, Any]],
    max_tokens: int = 256,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int | None = None,
) -> Iterator[str]:
    """The answer's text as it grows piece by piece; greedy at temperature 0."""
    from openai import OpenAI

    client: Any = OpenAI(base_url=endpoint.url, api_key=endpoint.key or "none", max_retries=0)
    stream: Any = client.chat.completions.create(
        model=model,
        messages=messages,
        stream=True,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
    )
    for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                yield choice.delta.content


def whole_answer(
    endpoint: Endpoint, model: str, messages: list[dict[str, Any]], max_tokens: int
) -> tuple[str, dict[str, Any]]:
    """The whole greedy answer, and `sources` of a model with retrieval beside OpenAI's protocol."""
    from openai import OpenAI

    client: Any = OpenAI(base_url=endpoint.url, api_key=endpoint.key or "none", max_retries=0)
    completion: Any = client.chat.completions.create(model=model, messages=messages, max_tokens=max_tokens)
    return completion.choices[0].message.content, dict(completion.model_extra or {})
