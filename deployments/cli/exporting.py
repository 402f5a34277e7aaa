"""`rawtune show evaluation/items --export HARNESS FOLDER`: the questions, for people who do not run rawtune."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from deployments import console
from tasks.base.artifacts import Manifest
from tasks.base.errors import InputError
from tasks.base.store import Store

QUESTIONS = ("mixture/leak-guard", "evaluation/items")
"""Steps whose records are questions; those that the leak guard has passed come first."""


def export_questions(store: Store, found: list[Manifest], harness: str, folder: Path) -> None:
    """Writes the questions of an artifact as tasks of lm-eval or inspect-ai.

    Raises:
        InputError: the harness is unknown, what was found holds no questions, or the folder cannot be written.
    """
    from tasks.base.records import Item
    from tasks.base.runs import read_records
    from tasks.evaluation.export import Harness, export_items

    if harness not in list(Harness):
        raise InputError(f"--export {harness}: the harness is one of {', '.join(Harness)}")
    made = next((manifest for manifest in found if manifest.step in QUESTIONS), None)
    if made is None:
        raise InputError(f"--export writes questions: say `rawtune show evaluation/items --export {harness} FOLDER`")
    try:
        counts = export_items(read_records(store, store.artifact(made), Item), folder, Harness(harness))
    except OSError as error:
        raise InputError(f"--export: {folder} cannot be written ({error.strerror})") from error
    for suite, number in counts.items():
        console.output.print(f"{number:6,}  {escape(suite)}", highlight=False)
    console.output.print(f"{made.step} written to {escape(str(folder))} for {harness}", highlight=False)
