"""Human review: page through dialogues with their source, export them to a file, import what a person changed.

    rawtune show synthesis/dialogues --method page_qa
    rawtune show synthesis/dialogues --export jsonl dialogues.jsonl
    rawtune show synthesis/dialogues --import dialogues.jsonl --editor ana

The exported file has one JSON object per dialogue: `id`, `question`, `answer` (of the last turn), then for reading only
`source` (the lines that the answer rests on), `scores`, `provenance`. A person edits question or answer, sets
`"drop": true`, or adds a `"note"`; lines that are left as they are or deleted mean no correction, and the line of a
dialogue that was dropped before brings it back. The step `synthesis/dialogues` applies corrections (see
`corrections.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.params import EXECUTION, Params
from tasks.base.records import Dialogue, Document, Message
from tasks.base.runs import StepRun, read_records
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.synthesis.corrections import Correction, fingerprint
from tasks.synthesis.curation import Scored
from tasks.synthesis.index import FILES

VERSION = "2026.11.24"

SOURCE_LINES: Final = 60
"""Of longer spans a reviewer sees the beginning."""


class Reviewed(BaseModel):
    """A dialogue with all that a reviewer needs to judge it."""

    model_config = ConfigDict(frozen=True)

    dialogue: Dialogue
    source: str
    """The document's lines of the span, cut after `SOURCE_LINES`; empty if the document is gone."""
    path: str
    scores: dict[str, str]


class Edited(BaseModel):
    """One line of the exported file; a person may leave out all but `id`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    question: str | None = None
    answer: str | None = None
    drop: bool = False
    note: str = ""


class EditParams(Params):
    """An edited file."""

    sha256: str
    """Hash of its bytes."""

    editor: str
    """Who edited it."""

    path: Annotated[str, EXECUTION]
    """Where it lies."""


def reviewed(
    store: Store,
    dialogues: Artifact,
    documents: Artifact,
    method: str | None = None,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Reviewed]:
    """Dialogues in stored order with their source and scores, of one method or of all, a page of them or all."""
    scores = {}
    if (store.blob(dialogues.sha256) / "scores.jsonl").exists():
        scores = {scored.id: scored.scores for scored in read_records(store, dialogues, Scored, "scores.jsonl")}
    chosen = (
        dialogue for dialogue in read_records(store, dialogues, Dialogue) if method is None or dialogue.method == method
    )
    page = list(islice(chosen, start, None if count is None else start + count))
    wanted = {dialogue.provenance.document_id for dialogue in page}
    sources = {
        document.id: document
        for name in FILES.values()
        for document in read_records(store, documents, Document, name)
        if document.id in wanted
    }
    for dialogue in page:
        source = sources.get(dialogue.provenance.document_id)
        yield Reviewed(
            dialogue=dialogue,
            source=_lines(source, dialogue.provenance.span) if source else "",
            path=source.path if source else "",
            scores=scores.get(dialogue.id, {}),
        )


def _lines(document: Document, span: tuple[int, int]) -> str:
    first, last = span
    lines = document.text.split("\n")[first - 1 : last]
    return "\n".join(lines[:SOURCE_LINES]) + ("\n…" if len(lines) > SOURCE_LINES else "")


def export(store: Store, dialogues: Artifact, documents: Artifact, target: Path, method: str | None = None) -> int:
    """Writes an editable file and returns how many dialogues it has."""
    written = 0
    with target.open("w", encoding="utf-8") as writer:
        for row in reviewed(store, dialogues, documents, method):
            dialogue = row.dialogue
            line: dict[str, Any] = {
                "id": dialogue.id,
                "question": dialogue.messages[-2].content,
                "answer": dialogue.messages[-1].content,
                "source": row.source,
                "scores": row.scores,
                "provenance": dialogue.provenance.model_dump(mode="json"),
            }
            writer.write(json.dumps(line, ensure_ascii=False) + "\n")
            written += 1
    return written


def import_edits(store: Store, dialogues: Artifact, path: Path, editor: str) -> Artifact:
    """Makes an artifact of the corrections in an edited file, together with those imported before.

    Raises:
        InputError: a line is not JSON of the exported form, or names a dialogue that there is not.
    """
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    params = EditParams(sha256=sha256, editor=editor, path=str(path))
    return corrections.direct(store, dialogues=dialogues, params=params, earlier=latest_corrections(store))


@step("synthesis/corrections", VERSION)
def corrections(run: StepRun, dialogues: Artifact, params: EditParams, earlier: Artifact | None = None) -> None:
    """Corrections by id: those of the edited file, and earlier ones for other dialogues."""
    kept = {found.id: found for found in run.read(earlier, Correction)} if earlier else {}
    edits = read_edits(Path(params.path))
    originals = {dialogue.id: dialogue for dialogue in run.read(dialogues, Dialogue) if dialogue.id in edits}
    for identifier, (number, edited) in edits.items():
        original = originals.get(identifier)
        if original is None and identifier in kept and kept[identifier].messages is None:
            if not edited.drop:  # it had been dropped; whoever keeps its line wants it back
                del kept[identifier]
                run.count("restored")
            continue
        if original is None:
            raise InputError(f"{params.path}: line {number} names {identifier}, which is not among the dialogues")
        # What was shown may have been corrected before; the correction must match what the machine makes.
        before = kept[identifier].original if identifier in kept else fingerprint(original)
        correction = _correction(original, before, edited, params.editor)
        if correction is not None:
            kept[identifier] = correction
            run.count("dropped" if correction.messages is None else "changed")
    run.write(kept[identifier] for identifier in sorted(kept))


def read_edits(path: Path) -> dict[str, tuple[int, Edited]]:
    """Edits of a file by dialogue id, with their line numbers; the last of one id counts.

    Raises:
        InputError: a line is not of the exported form.
    """
    edits: dict[str, tuple[int, Edited]] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            edited = Edited.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "JSON"
            raise InputError(f"{path}: line {number}: {where}: {first['msg']}") from error
        edits[edited.id] = (number, edited)
    return edits


def _correction(original: Dialogue, before: str, edited: Edited, editor: str) -> Correction | None:
    if edited.drop:
        messages: tuple[Message, ...] | None = None
    else:
        question, answer = original.messages[-2:]
        messages = (
            *(message for message in original.messages[:-2]),
            question if edited.question is None else question.model_copy(update={"content": edited.question}),
            answer if edited.answer is None else answer.model_copy(update={"content": edited.answer}),
        )
        if messages == original.messages:
            return None
    return Correction(id=original.id, original=before, messages=messages, editor=editor, note=edited.note)


def latest_corrections(store: Store) -> Artifact | None:
    """The corrections imported last into this store, or None; a flow hands them to `synthesis/dialogues`."""
    manifest = next(store.manifests(corrections.name), None)
    return store.artifact(manifest) if manifest is not None else None
