"""Step `synthesis/dialogues`: documents of the split in, curated dialogues of both sides out, sorted by id.

What a local model wrote about the documents is an artifact (`study/written.py`), so no GPU is needed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Dialogue, Document, Split, Verdict
from tasks.base.runs import RECORDS, StepRun, read_records
from tasks.base.steps import step
from tasks.llm.client import LEDGER_SECONDS, Told, opened
from tasks.synthesis import (
    atomic_facts,
    file_question,
    multi_hop,
    near_miss,
    open_book,
    page_instruction,
    page_qa,
    pull_why,
    rewrites,
    worded,
)
from tasks.synthesis.asked import SERVER_ERROR, write_all
from tasks.synthesis.corrections import Correction, Corrections
from tasks.synthesis.curation import Curated, Finished, Spool
from tasks.synthesis.facts.shelf import Shelf
from tasks.synthesis.index import FILES, Index
from tasks.synthesis.methods import Method, Subject
from tasks.synthesis.params import Provider, SynthesisParams
from tasks.synthesis.quotas import EXPLAINING
from tasks.synthesis.study.calls import materials_of
from tasks.synthesis.study.kept import Kept
from tasks.synthesis.study.written import Written
from tasks.synthesis.templates import by_template

VERSION = "2026.11.30.8"

BASE: Final = "base"
"""What stands in the provenance of a dialogue that the model wrote which is trained."""

METHODS: dict[str, Method] = {
    module.METHOD: module
    for module in (
        worded,
        page_qa,
        page_instruction,
        file_question,
        atomic_facts,
        multi_hop,
        pull_why,
        rewrites,
        near_miss,
        open_book,
    )
}


def subjects(run: StepRun, documents: Artifact, facts: Artifact, repos: set[str]) -> Iterator[Subject]:
    """Every document of both sides with its facts and the index of all, in stored order; adds their repositories to
    `repos`.
    """
    index = Index(run.checkout(documents))
    shelf = Shelf(run.checkout(facts) / RECORDS)
    for split, name in FILES.items():
        for document in run.read(documents, Document, name):
            repos.add(document.repo)
            yield Subject(document, split, document.id in index.pages, index, shelf.of(document.id))


@step("synthesis/dialogues", VERSION)
def dialogues(
    run: StepRun,
    documents: Artifact,
    facts: Artifact,
    params: SynthesisParams,
    corrections: Artifact | None = None,
    calls: Artifact | None = None,
    written: Artifact | None = None,
) -> None:
    """Makes the dialogues of both sides of the split; a dialogue has its document's side.

    Writes `records.jsonl` (Dialogue), `scores.jsonl` (the judge's scores by dialogue id, if there was one) and
    verdicts.

    Args:
        run: the step's run.
        documents: the split.
        facts: what `synthesis/facts` found in it.
        params: what to make.
        corrections: what people have changed in earlier dialogues (`review.py`); applied where the original is the
        same.
        calls: what a local model was shown; null = none wrote.
        written: what it wrote.

    Raises:
        RecordError: of what the local model wrote, more is rejected than `study.max_rejected`.
        BudgetError: the cap is reached; answers so far are in the cache and a run with a higher cap continues.
        InputError: model, key, address or price are missing or refused.
    """
    intake = _Intake(run, sum(documents.counts.get(name.removesuffix(".jsonl"), 0) for name in FILES.values()))
    if not params.by("openai"):
        for subject in subjects(run, documents, facts, intake.repos):
            intake.take(by_template(subject, _methods(params, "template"), params))
    else:
        asyncio.run(_ask(run, documents, facts, params, intake))
    if calls is not None and written is not None:
        _study(run, documents, calls, written, params, intake)
    corrected = Corrections(read_records(run.store, corrections, Correction) if corrections else (), intake.repos)
    run.write(_finished(run, intake.spool, corrected, params))
    if intake.spool.scores:
        run.write(sorted(intake.spool.scores, key=attrgetter("id")), "scores.jsonl")
    intake.spool.close()


class _Intake:
    """Takes results of documents in any order: dialogues to the spool, verdicts to the run."""

    def __init__(self, run: StepRun, documents: int) -> None:
        self.run, self.documents = run, documents
        self.spool = Spool()
        self.done = 0
        self.facts: dict[str, float] = {}
        self.repos: set[str] = set()

    def take(self, results: Iterable[Curated | Verdict]) -> None:
        """What one document has given."""
        self.add(results)
        self.done += 1
        self.run.progress(self.done, self.documents, "documents", **self.facts)

    def add(self, results: Iterable[Curated | Verdict]) -> None:
        """Dialogues to the spool, verdicts to the run."""
        for result in results:
            if isinstance(result, Curated):
                self.spool.add(result)
            elif result.reason == SERVER_ERROR:
                self.run.quarantine(result.id, result.reason, result.detail)
            else:
                self.run.verdict(result.id, result.reason, result.detail)


async def _ask(
    run: StepRun,
    documents: Artifact,
    facts: Artifact,
    params: SynthesisParams,
    intake: _Intake,
) -> None:
    asked, templated = _methods(params, "openai"), _methods(params, "template")
    async with opened(run.store, params.server(), "synthesis", run.key) as (client, budget):
        told = Told(run, params.model or "", client, budget)

        def take(results: list[Curated | Verdict]) -> None:
            intake.facts = {"usd": float(round(budget.spent_usd, 4)), "calls": client.asked, "cached": client.cached}
            intake.take(results)
            told.tell(LEDGER_SECONDS)

        try:
            at_once = params.batch_requests if params.batch else params.concurrency
            await write_all(
                subjects(run, documents, facts, intake.repos), asked, client, params, at_once, take, templated
            )
        finally:
            told.tell()


def _methods(params: SynthesisParams, provider: Provider) -> list[Method]:
    return [METHODS[name] for name in params.by(provider)]


def _study(
    run: StepRun, documents: Artifact, calls: Artifact, written: Artifact, params: SynthesisParams, intake: _Intake
) -> None:
    """What a local model wrote about the training side."""
    writer = params.study.writer
    trained = {one["id"]: one["revision"] for one in run.read_raw(documents, FILES[Split.TRAIN])}
    kept = Kept(materials_of(run, calls), trained, writer.public_name if writer else BASE, params.max_answer_characters)
    for one in run.read(written, Written):
        intake.add(kept.take(one))
    for manner, asked in sorted(kept.asked.items()):
        run.count(f"written:{manner.kind}", asked)
        run.count(f"true:{manner.kind}", kept.kept[manner])
    kept.refuse_too_many(params.study.max_rejected)


def _finished(
    run: StepRun, spool: Spool, corrections: Corrections, params: SynthesisParams
) -> Iterator[Dialogue | Finished]:
    for found in spool.ordered(params.quotas, params.near_miss_fraction):
        result: Dialogue | Finished | Verdict = found
        if isinstance(found, Finished) and corrections.concerns(found.id):
            result = corrections.applied(found.dialogue())
        if isinstance(result, Verdict):
            run.verdict(result.id, result.reason, result.detail)
            continue
        run.count(f"method:{result.method}")
        run.count(f"kind:{result.kind}")
        if isinstance(found, Finished):
            run.count("answer_tokens", found.tokens)
            run.count(f"answer_tokens:{found.kind}", found.tokens)
            run.count("explaining_tokens", found.tokens if found.kind in EXPLAINING else 0)
        yield result
    for verdict in corrections.unused():
        run.verdict(verdict.id, verdict.reason, verdict.detail)
