"""The data report, for those who must trust the table: `report.html`, `report.md`, `summary.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Item
from tasks.base.runs import StepRun, read_verdicts
from tasks.base.shards import LOCAL, RunnerParams, mapped, shards_of
from tasks.base.steps import step
from tasks.mixture.leaks.guard import HITS, Hit
from tasks.mixture.report.data_facts import SHOWN, TableFacts, chunk_shard, summarise, summed, table_shard
from tasks.mixture.report.data_page import read_samples, render_markdown, render_page
from tasks.mixture.table.draw import rank
from tasks.mixture.table.rows import ROWS
from tasks.text.tokenizer import stored_tokenizer

VERSION = "2026.11.30.3"

DIALOGUES: Final = "synthesis/dialogues"
WRITTEN: Final = "written:"
"""Beginning of its counts of written study material by kind; those that were kept are `true:<kind>`."""
REJECTED: Final = re.compile(r"#(?:document|folder|pull|flow)/\d+/")
"""In the ids of its verdicts about study material."""

MARKDOWN: Final = "report.md"
"""The report in a few lines, for the Prefect UI."""


def leak_facts(run: StepRun, items: Artifact, guarded: Artifact) -> dict[str, Any]:
    """Questions per suite: made, leaked, and not asked for another reason."""
    verdicts = {verdict.id: verdict.reason for verdict in read_verdicts(run.store, guarded)}
    suites: dict[str, dict[str, int]] = {}
    for item in run.read(items, Item):
        facts = suites.setdefault(item.suite, {"asked": 0, "leaked": 0, "not_asked": 0})
        facts["asked"] += 1
        if item.id in verdicts:
            facts["leaked" if verdicts[item.id].startswith("leak-") else "not_asked"] += 1
    return {"leaked": guarded.counts.get("leaks", 0), "suites": dict(sorted(suites.items()))}


def study_facts(run: StepRun, corpus: Sequence[Artifact]) -> dict[str, Any]:
    """What became of the study material that a model wrote, with some rejected texts; empty without any."""
    written = next((one for one in corpus if one.step == DIALOGUES), None)
    kinds = [name.removeprefix(WRITTEN) for name in written.counts if name.startswith(WRITTEN)] if written else []
    if written is None or not kinds:
        return {}
    rejected = [one for one in read_verdicts(run.store, written) if REJECTED.search(one.id)]
    few = sorted(rejected, key=lambda one: (rank(0, one.id), one.reason))[:SHOWN]
    counts = written.counts
    return {
        "kinds": {kind: {"written": counts[WRITTEN + kind], "kept": counts[f"true:{kind}"]} for kind in kinds},
        "rejected": [one.model_dump() for one in few],
    }


@step("mixture/data-report", VERSION)
def data_report(
    run: StepRun,
    table: Artifact,
    chunks: Artifact,
    model: Artifact,
    max_tokens: int,
    corpus: list[Artifact],
    items: Artifact | None = None,
    guarded: Artifact | None = None,
    epochs: int | None = None,
    runner: RunnerParams = LOCAL,
    headline: str = "",
) -> None:
    """Writes the report.

    Args:
        run: this execution.
        table: of `mixture/assemble`.
        chunks: what the table was made from.
        model: whose tokenizer it is for.
        max_tokens: of a row.
        corpus: the artifacts of every step before the chunks, in their order, for records and verdicts.
        items: questions as made, to be compared with `guarded`; null = no leak guard in the report.
        guarded: of `mixture/leak-guard`.
        epochs: of the training to come; null = not known.
        runner: where the shards are read.
        headline: of the page: project, sources, model.
    """
    facts = TableFacts(max_tokens)
    rows = shards_of(run.store, table, ROWS, runner.shard_bytes)
    for part in mapped(partial(table_shard, max_tokens), rows, runner):
        facts.merge(part)
        run.progress(facts.rows, table.counts["records"], "rows")
    pieces = shards_of(run.store, chunks, size=runner.shard_bytes)
    bins = summed(mapped(partial(chunk_shard, max_tokens), pieces, runner))
    steps = [*corpus, chunks, table] + ([guarded] if guarded else [])
    summary = summarise(table, facts, bins, steps, epochs)
    summary["leaks"] = leak_facts(run, items, guarded) if items and guarded else None
    if study := study_facts(run, corpus):
        summary["study"] = study
    hits = list(run.read(guarded, Hit, HITS)) if guarded else []
    longest = [entry[-1] for entry in sorted(facts.longest, reverse=True)]
    drawn = [entry[-1] for entry in sorted(facts.drawn)]
    shown = read_samples(run.checkout(table), [*longest, *drawn], stored_tokenizer(run.checkout(model)))
    groups = [
        ("The longest", "The longest chunks and dialogues of the table.", shown[: len(longest)]),
        ("Drawn at random", "Chosen by a hash, so the same table shows the same.", shown[len(longest) :]),
    ]
    lineage = [(artifact.step, artifact.sha256) for artifact in steps]
    run.path("report.html").write_text(render_page(summary, groups, hits, lineage, headline), "utf-8")
    few_lines = render_markdown(summary)
    run.path(MARKDOWN).write_text(f"{headline}\n\n{few_lines}" if headline else few_lines, "utf-8")
    run.path("summary.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    for name in ("rows", "tokens", "trained_tokens"):
        run.count(name, summary["table"][name])
