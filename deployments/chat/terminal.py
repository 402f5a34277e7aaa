"""`rawtune serve` and `rawtune ask`: a release for editors and for the terminal."""

from __future__ import annotations

import os
import sys
from typing import Final

from deployments import console
from tasks.base.errors import InputError, printable
from tasks.base.store import Store
from tasks.release.lineage import chosen_release
from tasks.release.requests import RETRIEVAL, served_models
from tasks.release.serving import KEY_VARIABLE, Endpoint, messages_of, serve_release, serving, stream_answer

MODELS: Final = served_models(sources=False)


def serve(store: Store, asked: str | None, host: str, port: int, sources: bool = False) -> None:
    """Serves a release with OpenAI's protocol until Ctrl-C; base model and tuned model by the names `base` and `tuned`,
    with sources also by `base-retrieval` and `tuned-retrieval`.

    Requests must bear the key of RAWTUNE_API_KEY, which may be missing on loopback only.

    Raises:
        InputError: there is no such release, it has no index, or there is no key for other machines.
    """
    name, release = chosen_release(store, asked)

    def ready(endpoint: Endpoint) -> None:
        models = ", ".join(served_models(sources))
        console.errors.print(
            f"[bold]{name}[/] {release.revision} at {endpoint.url}, models {models}; Ctrl-C ends it", highlight=False
        )

    try:
        serve_release(store, release.artifact, host, port, os.environ.get(KEY_VARIABLE) or None, ready, sources)
    except KeyboardInterrupt:
        console.errors.print("ended")


def ask(
    store: Store,
    asked: str | None,
    question: str,
    model: str = "tuned",
    max_tokens: int = 256,
    sources: bool = False,
) -> str:
    """Asks a release one question, greedily, printing the answer as it comes, with sources what it rests on behind it;
    returns it.

    Raises:
        InputError: there is no such release or model, or the release has no index.
    """
    if model not in MODELS:
        raise InputError(f"--model {model}: a release has the models {' and '.join(MODELS)}")
    _, release = chosen_release(store, asked)
    answer = ""
    name = f"{model}{RETRIEVAL}" if sources else model
    with console.errors.status("loading the model") as status, serving(store, release.artifact, sources) as endpoint:
        for piece in stream_answer(endpoint, name, messages_of(question), max_tokens):
            status.stop()
            shown = printable(piece)
            sys.stdout.write(shown)
            sys.stdout.flush()
            answer += piece
    sys.stdout.write("\n")
    return answer
