"""`rawtune show synthesis/dialogues`: dialogues page by page with their source, out to a file and back with edits."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.markup import escape

from deployments import console
from deployments.cli.showing import plain
from tasks.base.artifacts import Artifact, Manifest
from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.synthesis.review import Reviewed, export, import_edits, reviewed

PAGE: Final = 3
"""Dialogues of a page where nobody says how many."""


@dataclass(frozen=True)
class Review:
    """What a person asked for."""

    method: str | None
    start: int
    records: int | None
    """Dialogues of a page; None = `PAGE`, and on a terminal one page after the other."""
    export: tuple[str, Path] | None
    """Format and file."""
    edited: Path | None
    editor: str


def review(store: Store, manifest: Manifest, asked: Review, as_json: bool) -> None:
    """Shows dialogues, writes them into a file, or takes an edited file over.

    Raises:
        InputError: a file cannot be read or written, or is not of the exported form.
    """
    dialogues, reference = store.artifact(manifest), manifest.inputs["documents"]
    documents = Artifact(**reference, uri=str(store.blob(reference["sha256"])), counts={})
    if asked.export is not None:
        _export(store, dialogues, documents, asked.method, *asked.export)
    elif asked.edited is not None:
        _import(store, dialogues, asked.edited, asked.editor, as_json)
    elif as_json:
        rows = reviewed(
            store, dialogues, documents, asked.method, asked.start, PAGE if asked.records is None else asked.records
        )
        found = manifest.model_dump(mode="json") | {"uri": dialogues.uri, "dialogues": [_document(row) for row in rows]}
        sys.stdout.write(json.dumps([found], ensure_ascii=False) + "\n")
    else:
        _pages(store, dialogues, documents, asked)


def _pages(store: Store, dialogues: Artifact, documents: Artifact, asked: Review) -> None:
    """One page, or on a terminal page after page until the reader has enough."""
    further = sys.stdin.isatty() and sys.stdout.isatty() and asked.records is None
    start, count = asked.start, PAGE if asked.records is None else asked.records
    console.output.print(f"{dialogues.counts['records']:,} dialogues, {escape(dialogues.uri)}", highlight=False)
    while True:
        shown = 0
        for row in reviewed(store, dialogues, documents, asked.method, start, count):
            shown += 1
            _print(start + shown, row)
        start += shown
        if not further or shown < count:
            return
        if console.output.input("[dim]Enter for more, q to end: [/]").strip().lower().startswith("q"):
            return


def _export(
    store: Store, dialogues: Artifact, documents: Artifact, method: str | None, form: str, target: Path
) -> None:
    if form != "jsonl":
        raise InputError(f"--export {form}: dialogues are written as `jsonl`")
    try:
        number = export(store, dialogues, documents, target, method)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror})") from error
    console.output.print(
        f"{number:,} dialogues in {escape(str(target))}; change `question` or `answer`, or set `drop` to true, then "
        f"import the file",
        highlight=False,
    )


def _import(store: Store, dialogues: Artifact, path: Path, editor: str, as_json: bool) -> None:
    made = import_edits(store, dialogues, path, editor)
    if as_json:
        sys.stdout.write(made.model_dump_json() + "\n")
        return
    counts = made.counts
    console.output.print(
        f"{counts.get('changed', 0)} changed, {counts.get('dropped', 0)} dropped, {counts.get('restored', 0)} restored "
        f"by {escape(editor)}; {counts['records']} corrections in all, applied by the next run",
        highlight=False,
    )


def _document(row: Reviewed) -> dict[str, Any]:
    return row.dialogue.model_dump(mode="json") | {"path": row.path, "source": row.source, "scores": row.scores}


def _print(number: int, row: Reviewed) -> None:
    say = console.output.print
    dialogue, provenance = row.dialogue, row.dialogue.provenance
    first, last = provenance.span
    scores = ", ".join(f"{name} {score}" for name, score in row.scores.items()) or "no judge"
    say(f"\n[bold]{number}. {escape(plain(dialogue.id))}[/]", highlight=False)
    say(
        f"[dim]{dialogue.split}, {escape(plain(row.path))} lines {first} to {last} at {provenance.revision[:12]}, "
        f"{provenance.prompt_version} by {escape(plain(provenance.model))}; {escape(scores)}[/]",
        highlight=False,
    )
    for message in dialogue.messages:
        say(f"[bold]{message.role}:[/] {escape(plain(message.content, lines=True))}", highlight=False)
    same = row.source.strip() == dialogue.messages[-1].content.strip()
    say(f"[bold]source:[/] {'is the answer' if same else ''}", highlight=False)
    if not same:
        say(f"[dim]{escape(plain(row.source, lines=True))}[/]", highlight=False)
