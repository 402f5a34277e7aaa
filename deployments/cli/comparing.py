"""`rawtune compare A B`: two evaluations on the questions that both asked, in the terminal and as a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from deployments import console
from deployments.cli.showing import find, plain
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.ledger import read_report
from tasks.base.store import Store

REPORT: Final = "evaluation/report"


def compare(store: Store, first: str, second: str | None, arm: str, page: Path | None, as_json: bool) -> None:
    """Prints what the second side gained and lost against the first, and writes a page of it if one is asked for.

    Args:
        store: holds both.
        first: a release (NAME, NAME@REVISION or, where the store has one project, REVISION), a run's id, or an
            artifact's uri or hash; several, divided by commas, are the seeds of one recipe.
        second: the same; null = the newest report.
        arm: whose answers are compared.
        page: file to write, or null.
        as_json: whether to print one JSON object instead of tables.

    Raises:
        InputError: a side names nothing that has scores, or has no answers of the arm.
    """
    from tasks.base.runs import read_records
    from tasks.evaluation.comparison import compared, comparison_page, seed_warning
    from tasks.evaluation.params import ReportParams
    from tasks.evaluation.scoring import Score

    sides = [_reports(store, asked) for asked in (first, second or REPORT)]
    runs = [[list(read_records(store, one, Score, "scores.jsonl")) for one in side] for side in sides]
    for asked, side in zip((first, second or REPORT), runs, strict=True):
        if not all(any(one.arm == arm for one in run) for run in side):
            raise InputError(f"compare: {asked} has no answers of {arm}; --arm names another")
    params = ReportParams()
    found = compared(runs[0], runs[1], params, arm)
    names = (first, second or "the newest report")
    if page is not None:
        page.write_text(comparison_page(found, names, params), "utf-8")
    if as_json:
        uris = [[str(store.blob(one.sha256)) for one in side] for side in sides]
        sys.stdout.write(json.dumps({"first": uris[0], "second": uris[1], "arm": arm, **found}) + "\n")
        return
    say = console.output.print
    if not found["shared"]:
        numbers = f"{found['only_first']:,} questions of the first, {found['only_second']:,} of the second"
        say(escape(plain(f"Nothing can be compared: {names[0]} and {names[1]} share no question ({numbers}).")))
        return
    numbers = f"{found['only_first']:,} only of the first, {found['only_second']:,} only of the second"
    say(escape(plain(f"{names[1]} minus {names[0]}: {found['shared']:,} questions of both, {numbers}.")))
    if warning := seed_warning(found):
        say(warning)
    for title, rows in (("by suite", found["differences"]), ("recall by kind", found["kinds"])):
        if rows:
            say(_table(title, rows, params.confidence))
    if page is not None:
        console.print_places({"page": str(page)})


def _reports(store: Store, asked: str) -> list[Artifact]:
    return [_report(store, one.strip()) for one in asked.split(",")]


def _report(store: Store, asked: str) -> Artifact:
    """The artifact with the scores that a name stands for."""
    run = read_report(store, asked) if "/" not in asked and "@" not in asked else None
    if run is not None:
        made = next((step.artifact for step in run.steps if step.step == REPORT and step.artifact), None)
        if made is None:
            raise InputError(f"compare: run {asked} did not come to an evaluation")
        return Artifact(step=REPORT, version="", **made)
    from tasks.release.registry import projects

    known = projects(store)
    if asked.partition("@")[0] in known or (len(known) == 1 and not _is_artifact(store, asked)):
        return _release(store, asked, known)
    found = find(store, asked)[0]
    if found.step != REPORT:
        raise InputError(f"compare: {asked} is of {found.step}; reports and releases are compared")
    return store.artifact(found)


def _is_artifact(store: Store, asked: str) -> bool:
    try:
        return bool(find(store, asked))
    except InputError:
        return False


def _release(store: Store, asked: str, known: Sequence[str]) -> Artifact:
    from tasks.release.lineage import chosen_release

    only = len(known) == 1 and "@" not in asked and asked not in known
    name, revision = chosen_release(store, f"{known[0]}@{asked}" if only else asked)
    if not (store.blob(revision.artifact.sha256) / "scores.jsonl").exists():
        raise InputError(f"release: the scores of {name}@{revision.revision} are no longer in {store.uri}")
    return revision.artifact


def _table(title: str, rows: Mapping[str, Mapping[str, Any]], confidence: float) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    for column in ("guess", "first", "second", "change", f"{100 * confidence:g}% interval", "won/lost", "p", "n"):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        interval = "one document" if row["low"] is None else f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
        table.add_row(
            escape(plain(name)),
            "–" if row["guess"] is None else f"{100 * row['guess']:.1f}%",
            f"{100 * row['first']:.1f}%",
            f"{100 * row['second']:.1f}%",
            f"{100 * row['estimate']:+.1f}",
            interval,
            f"{row['wins']}/{row['losses']}",
            f"{row.get('p_holm', row['p']):.2g}",
            f"{row['items']}",
        )
    return table
