"""The replay stream: general dialogues beside the sources, so that the model keeps its abilities.

From a file of JSON lines or a dataset on the Hub. Its records are `Dialogue`s of the training side whose document is
the record itself.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tasks.base.artifacts import file_sha256
from tasks.base.errors import InputError
from tasks.base.records import Dialogue, Message, Provenance, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.mixture.params import SourceParams
from tasks.mixture.table.draw import rank

VERSION = "2026.11.24"

PAIRS: Final = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
)
"""Column pairs of single-turn data sets; first match wins. `instruction` may have an `input` beside it (Alpaca)."""
SPEAKERS: Final = {"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
"""ShareGPT's speakers and OpenAI's roles."""


def to_messages(record: Mapping[str, Any]) -> tuple[Message, ...] | None:
    """The dialogue in a record, or None if it holds none that ends with an answer."""
    turns = record.get("messages") or record.get("conversations")
    if turns is None:
        names = next((pair for pair in PAIRS if all(isinstance(record.get(name), str) for name in pair)), None)
        if names is None:
            return None
        question = "\n\n".join(text for text in (record[names[0]], record.get("input")) if text)
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": record[names[1]]}]
    messages = []
    for turn in turns:
        role = SPEAKERS.get(str(turn.get("role") or turn.get("from")))
        content = turn.get("content") if "content" in turn else turn.get("value")
        if role is None or not isinstance(content, str):
            return None
        messages.append(Message.model_validate({"role": role, "content": content}))
    roles = [message.role for message in messages if message.role != "system"]
    alternates = roles == ["user", "assistant"] * (len(roles) // 2) and bool(roles)
    return tuple(messages) if alternates and all(message.content.strip() for message in messages) else None


def sample(records: Iterable[Mapping[str, Any]], params: SourceParams, revision: str) -> Iterator[Dialogue | str]:
    """A fixed sample of the usable records, by ascending id; for an unusable one its id. Holds no more than the sample.

    Args:
        records: in the source's order.
        params: how many to take of how many.
        revision: what the dialogues' provenance names.
    """
    chosen: list[tuple[int, str, Dialogue]] = []
    for number, record in enumerate(records):
        if number >= params.scanned_records:
            break
        identifier = f"replay/{params.name}/{number:08d}"
        messages = to_messages(record)
        if messages is None:
            yield identifier
            continue
        entry = (-rank(params.seed, identifier), identifier, _dialogue(identifier, number, messages, params, revision))
        (heapq.heappushpop if len(chosen) >= params.records else heapq.heappush)(chosen, entry)
    yield from sorted((dialogue for _, _, dialogue in chosen), key=lambda dialogue: dialogue.id)


def _dialogue(
    identifier: str, number: int, messages: tuple[Message, ...], params: SourceParams, revision: str
) -> Dialogue:
    return Dialogue(
        id=identifier,
        messages=messages,
        method=re.sub(r"[^a-z0-9]+", "-", params.name.lower()).strip("-") or "stream",
        provenance=Provenance(
            document_id=identifier,
            revision=revision,
            span=(number + 1, number + 1),
            prompt_version="given",
            model="given",
        ),
        split=Split.TRAIN,
    )


def open_file(path: Path) -> tuple[Iterable[Mapping[str, Any]], str]:
    """Streams the records of a file of JSON lines, and gives its sha256; other lines become empty records."""
    return _lines(path), file_sha256(path)


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                record = {}
            yield record if isinstance(record, dict) else {}


def open_dataset(params: SourceParams) -> tuple[Iterable[Mapping[str, Any]], str]:
    """The records of a dataset on the Hub, streamed, and the commit that `revision` stands for.

    Raises:
        InputError: no such dataset, revision or split, no permission, or the Hub cannot be reached.
    """
    import datasets
    from huggingface_hub import HfApi

    try:
        commit = str(HfApi().dataset_info(params.name, revision=params.revision).sha)
        return datasets.load_dataset(params.name, revision=commit, split=params.split, streaming=True), commit
    except (
        OSError,
        ValueError,
    ) as error:  # every error of both libraries about names, rights and networks is one of these
        raise InputError(
            f"dataset.replay.source: {params.source} is no file here, and the Hub has no split {params.split!r} of it "
            f"for you ({str(error).splitlines()[0]}); check name, revision, split and HF_TOKEN"
        ) from error


@step("mixture/replay-source", VERSION)
def replay_source(run: StepRun, params: SourceParams) -> None:
    """Writes the sampled dialogues.

    Raises:
        InputError: the source is neither a file nor a dataset that can be read, or it holds no dialogue.
    """
    records, revision = open_file(params.file) if params.file else open_dataset(params)
    if not params.file:
        run.resolved["revision"] = revision
    unusable: list[str] = []

    def usable() -> Iterator[Dialogue]:
        for record in sample(records, params, revision):
            if isinstance(record, Dialogue):
                yield record
            else:
                unusable.append(record)

    if not run.write(usable()):
        raise InputError(
            f"dataset.replay.source: {params.name} holds no record with messages or a question and an answer"
        )
    for identifier in unusable:
        run.verdict(identifier, "no-dialogue")
