"""`rawtune show`: what a step made last, or what one artifact holds."""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any, Final

from rich.markup import escape

from deployments import console
from tasks.base.artifacts import Manifest
from tasks.base.errors import InputError
from tasks.base.runs import RECORDS, VERDICTS, read_json
from tasks.base.store import Store

REPORT: Final = "evaluation/report"

SHOWN_COUNTS: Final = 4

SHOWN_CHARACTERS: Final = 2_000
"""A longer record is cut on a terminal; `--json` has all of it."""


def show_artifacts(store: Store, found: list[Manifest], records: int, as_json: bool) -> None:
    """Prints what made the artifacts and their first records."""
    if as_json:
        sys.stdout.write(json.dumps([_document(store, manifest, records) for manifest in found]) + "\n")
        return
    for manifest in found:
        _print(store, manifest, records)


def show_list(store: Store, as_json: bool) -> None:
    """Prints every step that the store has artifacts of, and what its newest one counted."""
    newest = {name: manifest for name in store.steps() for manifest in itertools.islice(store.manifests(name), 1)}
    if as_json:
        document = {name: manifest.model_dump(mode="json") for name, manifest in newest.items()}
        sys.stdout.write(json.dumps(document) + "\n")
        return
    for name, manifest in newest.items():
        counts = ", ".join(
            f"{count} {value:,}" for count, value in itertools.islice(manifest.counts.items(), SHOWN_COUNTS)
        )
        console.output.print(f"{name:<28}{escape(counts)}", highlight=False)
    if not newest:
        console.output.print(f"nothing in {store.uri} yet; rawtune dry-run fills it", highlight=False)


def find(store: Store, what: str) -> list[Manifest]:
    """The newest artifact of a step, of every step of a room, or the artifact with a uri or hash.

    Raises:
        InputError: the store has no such thing.
    """
    names = [name for name in store.steps() if what in (name, name.split("/")[0])]
    newest = [manifest for name in names for manifest in itertools.islice(store.manifests(name), 1)]
    if newest:
        return newest
    digest = what.rstrip("/").rsplit("/", 1)[-1]
    made = [
        m for name in store.steps() for m in store.manifests(name) if len(digest) >= 8 and m.sha256.startswith(digest)
    ]
    if made:
        return made[:1]
    raise InputError(
        f"{what}: nothing of that name in {store.uri}; it has {', '.join(store.steps()) or 'no artifacts'}"
    )


def _document(store: Store, manifest: Manifest, records: int) -> dict[str, Any]:
    first = [json.loads(line) for line in _first_records(store, manifest, records)]
    return manifest.model_dump(mode="json") | {"uri": str(store.blob(manifest.sha256)), "first_records": first}


def _print(store: Store, manifest: Manifest, records: int) -> None:
    say = console.output.print
    say(f"[bold]{manifest.step}[/]  version {manifest.version}", highlight=False)
    say(f"  {escape(str(store.blob(manifest.sha256)))}", highlight=False)
    if manifest.step == REPORT:
        say(f"[bold]{escape(plain(read_json(store, store.artifact(manifest), 'summary.json')['verdict']))}[/]")
    for title, facts in (("counts", manifest.counts), ("resolved", manifest.resolved)):
        for name, value in facts.items():
            say(f"  {title:<9}{escape(name)}: {escape(plain(value))}", highlight=False)
    for name, value in manifest.inputs.items():
        for reference in value if isinstance(value, list) else [value]:
            say(f"  input    {name}: {reference['step']} {reference['sha256'][:12]}", highlight=False)
    for file in manifest.files:
        say(f"  file     {escape(file.path)}: {file.bytes:,} bytes", highlight=False)
    for line in _first_records(store, manifest, records):
        text = plain(json.loads(line))
        more = f" … {len(text) - SHOWN_CHARACTERS:,} more characters" if len(text) > SHOWN_CHARACTERS else ""
        say(escape(text[:SHOWN_CHARACTERS] + more), highlight=False)


def _first_records(store: Store, manifest: Manifest, number: int) -> list[str]:
    files = [file.path for file in manifest.files if file.path.endswith(".jsonl") and file.path != VERDICTS]
    name = RECORDS if RECORDS in files else next(iter(files), None)
    if name is None or number == 0:
        return []
    with (store.blob(manifest.sha256) / name).open("r", encoding="utf-8") as reader:
        return list(itertools.islice(reader, number))


def plain(value: Any, lines: bool = False) -> str:
    """JSON on one line, or text with its own lines, control characters escaped: hostile text cannot drive the
    terminal.
    """
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    kept = "\n\t" if lines else ""
    return "".join(char if char.isprintable() or char in kept else f"\\u{ord(char):04x}" for char in text)
