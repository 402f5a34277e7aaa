"""`rawtune serve` and `rawtune ask`: a release for editors and for the terminal."""

from __future__ import annotations

import os
import sys
from typing import Final

from deployments import console
from tasks.base.errors import InputError, printable
from tasks.base.store import Store
from tasks.release.lineage import chosen_release
from tasks.release.serving import KEY_VARIABLE, Endpoint, messages_of, serve_release, serving, stream_answer

MODELS: Final = ("tuned", "base")
"""What the server of a release calls them."""


def serve(store: Store, asked: str | None, host: str, port: int) -> None:
    """Serves a release with OpenAI's protocol until Ctrl-C; base model and tuned model by the names `base` and `tuned`.

    Requests must bear the key of RAWTUNE_API_KEY, which may be missing on loopback only.

    Raises:
        InputError: there is no such release, or no key for other machines.
    """
    name, release = chosen_release(store, asked)

    def ready(endpoint: Endpoint) -> None:
        console.errors.print(
            f"[bold]{name}[/] {release.revision} at {endpoint.url}, models tuned and base; Ctrl-C ends it",
            highlight=False,
        )

    try:
        serve_release(store, release.artifact, host, port, os.environ.get(KEY_VARIABLE) or None, ready)
    except KeyboardInterrupt:
        console.errors.print("ended")


def ask(store: Store, asked: str | None, question: str, model: str = "tuned", max_tokens: int = 256) -> str:
    """Asks a release one question, greedily, printing the answer as it comes; returns it.

    Raises:
        InputError: there is no such release or model.
    """
    if model not in MODELS:
        raise InputError(f"--model {model}: a release has the models {' and '.join(MODELS)}")
    _, release = chosen_release(store, asked)
    answer = ""
    with console.errors.status("loading the model") as status, serving(store, release.artifact) as endpoint:
        for piece in stream_answer(endpoint, model, messages_of(question), max_tokens):
            status.stop()
            shown = printable(piece)
            sys.stdout.write(shown)
            sys.stdout.flush()
            answer += piece
    sys.stdout.write("\n")
    return answer
