"""Step `synthesis/feedback`: what people thought of answers in the chat, as further training dialogues.

Reads the folder that `rawtune chat` writes (`liked.jsonl`, `disliked.jsonl`; a line is a `Dialogue`). A person may add
a `"correction"` to a line, the answer that should have been given. Trained on are answers that were liked or corrected;
a disliked one without a correction says what is wrong and not what is right. A vote may repeat a question of the
evaluation, which the chat offers as examples: the leak guard then drops that question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from heapq import merge
from operator import attrgetter
from typing import Annotated, Final

from pydantic import ValidationError
from upath import UPath

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.params import EXECUTION, Params
from tasks.base.records import Dialogue, Split, Verdict
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.text.secrets import find_secrets

VERSION = "2026.11.24"

METHOD: Final = "feedback"

LIKED: Final = "liked.jsonl"
DISLIKED: Final = "disliked.jsonl"


class Vote(Dialogue):
    """A conversation whose last answer somebody voted on."""

    correction: str | None = None
    """What should have been answered."""


class FeedbackParams(Params):
    """A folder of votes as a run found it."""

    sha256: str
    """Hash of its two files."""
    path: Annotated[str, EXECUTION]
    """Where it lies."""


def find_feedback(path: str | None) -> FeedbackParams | None:
    """The votes that a run is to train on; None if it is to train on none.

    Raises:
        InputError: there is no such folder, or nobody has voted there.
    """
    if path is None:
        return None
    texts = _texts(path)
    if not texts:
        raise InputError(f"synthesis.feedback: {path} holds neither {LIKED} nor {DISLIKED}; `rawtune chat` writes them")
    return FeedbackParams(sha256=_sha256(texts), path=path)


@step("synthesis/feedback", VERSION)
def feedback(run: StepRun, dialogues: Artifact, params: FeedbackParams) -> None:
    """Writes the dialogues together with the votes that can be trained on, sorted by id.

    Raises:
        InputError: a line is not a vote, or somebody voted while the run was under way.
    """
    votes = {dialogue.id: dialogue for dialogue in trained_votes(params, run.verdict)}
    run.count("votes_trained", len(votes))
    ordered = sorted(votes.values(), key=attrgetter("id"))
    run.write(merge(run.read(dialogues, Dialogue), ordered, key=attrgetter("id")))


def trained_votes(params: FeedbackParams, note: Callable[[str, str, str], None]) -> Iterator[Dialogue]:
    """The dialogues of the votes that can be trained on, each once, in the order of the files.

    Args:
        params: the folder, as it was found.
        note: is told place, reason and detail of every vote that is left out.

    Raises:
        InputError: a line is not a vote, or somebody has voted since the folder was found.
    """
    texts = _texts(params.path)
    if _sha256(texts) != params.sha256:
        raise InputError(f"synthesis.feedback: {params.path} changed while the run was under way; run again")
    known: set[str] = set()
    for name, text in texts.items():
        for where, vote in read_votes(params.path, name, text):
            found = trainable(vote, liked=name == LIKED)
            if isinstance(found, Verdict):
                note(where, found.reason, found.detail)
            elif found.id in known:
                note(where, "duplicate", found.id)
            else:
                known.add(found.id)
                yield found


def read_votes(path: str, name: str, text: str) -> Iterator[tuple[str, Vote]]:
    """Votes of a file with their places, in order.

    Raises:
        InputError: a line is not a vote.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{name}:{number:07d}", Vote.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "JSON"
            raise InputError(
                f"synthesis.feedback: line {number} of {name} in {path}: {where}: {first['msg']}"
            ) from error


def trainable(vote: Vote, liked: bool) -> Dialogue | Verdict:
    """The dialogue to train on, or why there is none; its id depends on its messages alone, so votes repeat in vain."""
    place = vote.provenance.document_id
    answer = vote.messages[-1] if vote.messages else None
    if answer is None or answer.role != "assistant" or not any(one.role == "user" for one in vote.messages):
        return Verdict(id=vote.id, reason="no-answer", detail="the last message is not an answer to anything")
    if vote.correction is None and not liked:
        return Verdict(id=vote.id, reason="disliked", detail="and nobody said what is right")
    messages = vote.messages
    model = vote.provenance.model
    if vote.correction is not None:
        messages = (*messages[:-1], answer.model_copy(update={"content": vote.correction}))
        model += "+human"
    text = "\n".join(message.content for message in messages)
    if not messages[-1].content.strip():
        return Verdict(id=vote.id, reason="empty", detail="the answer is blank")
    secret = next((found for found in find_secrets(text) if found.confidence != "low"), None)
    if secret is not None:
        return Verdict(id=vote.id, reason="secret", detail=secret.rule)
    digest = hashlib.sha256(json.dumps([(one.role, one.content) for one in messages]).encode()).hexdigest()
    return Dialogue(
        id=f"{place}/{digest[:16]}",
        messages=messages,
        method=METHOD,
        provenance=vote.provenance.model_copy(update={"model": model, "prompt_version": METHOD}),
        split=Split.TRAIN,
    )


def _texts(path: str) -> dict[str, str]:
    folder = UPath(path)
    return {name: (folder / name).read_text("utf-8") for name in (LIKED, DISLIKED) if (folder / name).exists()}


def _sha256(texts: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
