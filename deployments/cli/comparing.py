"""`rawtune show evaluation --against RELEASE`: the newest report beside a release, on the questions that both asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from deployments import console
from tasks.base.artifacts import Artifact, Manifest
from tasks.base.errors import InputError
from tasks.base.store import Store

REPORT = "evaluation/report"


def show_against(store: Store, reports: list[Manifest], asked: str, as_json: bool) -> None:
    """Prints what the newest of the reports gained and lost against a release.

    Args:
        store: holds both.
        reports: what `show` found, the newest first.
        asked: NAME, NAME@REVISION or, where the store has one project, REVISION.
        as_json: whether to print one JSON object instead of a table.

    Raises:
        InputError: there is no report or no such release, or the files of the release are gone.
    """
    from tasks.evaluation.over_time import compare_reports, in_words
    from tasks.evaluation.params import ReportParams

    found = next((manifest for manifest in reports if manifest.step == REPORT), None)
    if found is None:
        raise InputError(f"--against compares reports: say `rawtune show evaluation --against {asked}`")
    params = ReportParams.model_validate(found.parameters["params"])
    compared = compare_reports(store, store.artifact(found), _release(store, asked), params)
    if as_json:
        sys.stdout.write(json.dumps({"report": str(store.blob(found.sha256)), **compared}) + "\n")
        return
    console.output.print(escape(in_words(compared)), highlight=False)
    if compared["shared"]:
        console.output.print(_table(compared["differences"], params.confidence))


def _release(store: Store, asked: str) -> Artifact:
    from tasks.release.lineage import chosen_release
    from tasks.release.registry import projects

    known = projects(store)
    only = len(known) == 1 and "@" not in asked and asked not in known
    name, revision = chosen_release(store, f"{known[0]}@{asked}" if only else asked)
    if not (store.blob(revision.artifact.sha256) / "scores.jsonl").exists():
        raise InputError(f"release: the scores of {name}@{revision.revision} are no longer in {store.uri}")
    return revision.artifact


def _table(differences: Mapping[str, Mapping[str, Any]], confidence: float) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("questions")
    for title in ("guess", "then", "now", "change", f"{100 * confidence:g}% interval", "won/lost", "p (Holm)", "n"):
        table.add_column(title, justify="right")
    for suite, row in differences.items():
        interval = "one document" if row["low"] is None else f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
        p_holm = row.get("p_holm")
        table.add_row(
            escape("".join(letter for letter in suite if letter.isprintable())),
            "–" if row["guess"] is None else f"{100 * row['guess']:.1f}%",
            f"{100 * row['then']:.1f}%",
            f"{100 * row['now']:.1f}%",
            f"{100 * row['estimate']:+.1f}",
            interval,
            f"{row['wins']}/{row['losses']}",
            "" if p_holm is None else f"{p_holm:.2g}",
            f"{row['items']}",
        )
    return table
