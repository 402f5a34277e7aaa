"""The whole workflow, from resolve to release.

resolve ▶ harvest ▶ corpus ▶ synthesise ▶ mixture ▶ train ▶ answer ▶ evaluate ▶ gate ▶ release

Everything after `resolve` is a cached step (see `tasks/base/steps.py`), so a second run of the same text does no work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.compute import check_before_download, gpu_steps, is_written, writing_steps
from flows.mixing import Dataset, Unmixed, Unwritten, mixed
from flows.params import Phase, RetrainParams
from flows.publication import Outcome, conclude, release_folder
from flows.resolve import Resolved, headline, release_facts, resolve, scheduled_start
from flows.trackers import check_trackers, track
from flows.train_adapter import answers
from flows.watching import name_run, recorded, show_evaluation, show_markdown
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport, current_ledger
from tasks.base.steps import Step
from tasks.base.store import Store
from tasks.corpus.chunk import chunk
from tasks.corpus.deduplicate import deduplicate
from tasks.corpus.filters import filter_documents
from tasks.corpus.redact import redact
from tasks.corpus.split import split
from tasks.corpus.stale_pages import stale_pages
from tasks.evaluation.few_facts import few_facts
from tasks.evaluation.items import items
from tasks.evaluation.judge import judge
from tasks.evaluation.params import EvaluationParams
from tasks.evaluation.report import report
from tasks.harvest.documents.step import documents_beside
from tasks.harvest.issues import issues
from tasks.harvest.pulls import pulls
from tasks.harvest.releases import releases
from tasks.harvest.snapshot import snapshot
from tasks.harvest.wiki.pages import wiki
from tasks.mixture.report.data_report import MARKDOWN
from tasks.model.base_model import base_model
from tasks.release.releases import previous_release
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.facts.step import facts
from tasks.synthesis.feedback import feedback
from tasks.synthesis.study.calls import calls

logger = logging.getLogger(__name__)

RECIPE: Final = ("name", "sources", "synthesis", "dataset", "training", "evaluation")
"""Sections of the parameters that a report's figures come from."""


Choose = Callable[[Store, RetrainParams, Resolved, RunReport], RetrainParams]


@flow(name="retrain")
def retrain(params: RetrainParams, until: Phase = Phase.PUBLISH) -> State[Any]:
    """Makes, measures and publishes a model of an organisation's own text.

    A refusing gate ends the run as *Failed* with the name `Refused`; everything it rests on stays in the store.
    """
    return run(params, until)


def run(params: RetrainParams, until: Phase, trains: bool = True, choose: Choose | None = None) -> State[Any]:
    """The body of every flow over `RetrainParams`.

    Args:
        params: of the run.
        until: its last phase.
        trains: False: the adapter must have been made by an earlier run.
        choose: finds the parameters that the run goes on with, such as a search's winner.
    """
    check_trackers()
    with recorded(params.store) as (store, page):
        warnings = params.gate_shortfalls() if until is Phase.PUBLISH else []
        for line in warnings:
            logger.warning("%s", line)
        resolved = resolve(store, params, scheduled_start())
        page.resolved = {"project": params.name, **resolved.model_dump(mode="json")}
        page.resolved |= {"gate_warnings": warnings} if warnings else {}
        name_run(params.name, resolved)
        if choose is not None:
            params = choose(store, params, resolved, page)
        outcome = workflow(store, params, resolved, until, trains)
        reasons = conclude(store, params, resolved, outcome, page)
        if book := current_ledger():
            track(book, params, resolved)
    if reasons:
        return Failed(name="Refused", message="; ".join(reasons))
    return Completed(message=page.release or f"done until {until}")


def workflow(
    store: Store,
    params: RetrainParams,
    resolved: Resolved,
    until: Phase = Phase.PUBLISH,
    trains: bool = True,
) -> Outcome:
    """Calls the steps in order; each takes references to finished artifacts and gives one back."""
    harvested = harvest(store, params, resolved)
    if until is Phase.HARVEST:
        return Outcome()
    trained = trains and until is not Phase.DATASET
    data = build_dataset(store, params, harvested, resolved, trained, until if trained else Phase.DATASET)
    if until is Phase.DATASET:
        return Outcome()
    gpu = gpu_steps(store, data, params, until is not Phase.TRAIN, trains)
    adapter = gpu.train(store, table=data.table, model=data.model, params=params.training)
    if until is Phase.TRAIN:
        return Outcome()
    findings = evaluate(store, params, resolved, data, adapter, gpu.answer)
    if until is Phase.EVALUATE:
        return Outcome(findings)
    return release_folder(store, params, resolved, data, adapter, findings)


def harvest(store: Store, params: RetrainParams, resolved: Resolved) -> list[Artifact]:
    """Files, pull requests, issues, discussions, releases, wiki and documents of every source."""
    documents: list[Artifact] = []
    for source, located in zip(params.sources, resolved.sources, strict=True):
        documents.append(snapshot(store, source=located.snapshot, params=source.files))
        if located.pulls:
            documents.append(pulls(store, source=located.pulls))
        else:
            pulls.skip()
        if located.issues:
            documents.append(issues(store, source=located.issues))
        if located.discussions:
            documents.append(issues.named("discussions")(store, source=located.discussions))
        if located.releases:
            documents.append(releases(store, source=located.releases))
        if located.wiki:
            documents.append(wiki(store, source=located.wiki))
        else:
            wiki.skip()
        if located.documents:
            documents.append(documents_beside(store, source=located.documents))
    return documents


def build_dataset(
    store: Store,
    params: RetrainParams,
    harvested: list[Artifact],
    resolved: Resolved,
    trains: bool = True,
    together: Phase = Phase.DATASET,
) -> Dataset:
    """From documents to the training table and the questions that it does not contain.

    Args:
        store: of the run.
        params: of the run.
        harvested: files, pull requests, wikis.
        resolved: what the run began with.
        trains: whether the run trains afterwards.
        together: the last phase that a pool's machine does in the rental in which the base writes its replay.

    Raises:
        InputError: the run trains afterwards, and this machine could never finish that.
    """
    wanted = params.settled_dataset
    cleaned = build_corpus(store, params, harvested)
    documents = cleaned[-1]
    if trains:
        check_before_download(store, params, documents)
    model = base_model(store, params=params.training)
    chunks = chunk(
        store,
        documents=documents,
        model=model,
        params=wanted.render,
        max_tokens=wanted.max_tokens,
        runner=wanted,
    )
    known = known_facts(store, params, harvested, documents)
    pairs: Artifact | Unwritten
    if is_written(store, params):
        pairs = to_be_written(store, params, resolved, documents, known, model)
    else:
        pairs = dialogues(
            store, documents=documents, facts=known, params=params.synthesis, corrections=resolved.corrections
        )
        if resolved.feedback is not None:
            pairs = feedback(store, dialogues=pairs, params=resolved.feedback)
    drafts = items(
        store,
        documents=documents,
        facts=known,
        params=params.evaluation,
        taught_only=params.synthesis.facts_per_document is not None,
    )
    unmixed = Unmixed(
        documents=documents,
        model=model,
        chunks=chunks,
        dialogues=pairs,
        drafts=drafts,
        corpus=(*harvested, *cleaned),
        weights=weights(params, cleaned),
        dataset=wanted,
        epochs=params.training.epochs,
        headline=headline(params, resolved),
    )
    data = mixed(store, unmixed, writing_steps(store, unmixed, params, together))
    show_markdown(store, data.report, MARKDOWN, "data-report", "What the model is trained on")
    return data


def to_be_written(
    store: Store, params: RetrainParams, resolved: Resolved, documents: Artifact, known: Artifact, model: Artifact
) -> Unwritten:
    """What the dialogues are made of once a model, `model` or another, has written about the documents."""
    study = params.synthesis.study
    return Unwritten(
        facts=known,
        calls=calls(store, documents=documents, params=study),
        writer=base_model(store, params=study.writer) if study.writer else model,
        synthesis=params.synthesis,
        corrections=resolved.corrections,
        feedback=resolved.feedback,
    )


def build_corpus(store: Store, params: RetrainParams, harvested: list[Artifact]) -> list[Artifact]:
    """What is kept of the documents, without secrets and copies; the last artifact is the split."""
    wanted = params.dataset
    kept = filter_documents(store, documents=harvested, params=wanted.filter)
    redacted = redact(store, documents=kept, params=wanted.redact, runner=wanted)
    dated = stale_pages(store, documents=redacted, snapshots=snapshots_of(harvested), params=wanted.stale)
    unique = deduplicate(store, documents=dated, params=wanted.deduplicate, runner=wanted)
    documents = split(
        store,
        documents=unique,
        params=wanted.split,
        validation_fraction=wanted.validation_fraction,
        runner=wanted,
    )
    return [kept, redacted, dated, unique, documents]


def snapshots_of(harvested: list[Artifact]) -> list[Artifact]:
    """The files of every source, without pull requests, wikis and documents."""
    return [artifact for artifact in harvested if artifact.step == snapshot.name]


def known_facts(store: Store, params: RetrainParams, harvested: list[Artifact], documents: Artifact) -> Artifact:
    """What the documents say, found with an eye on the whole snapshot; a few of each document where that is wanted."""
    found = facts(store, documents=documents, snapshots=snapshots_of(harvested))
    most = params.synthesis.facts_per_document
    return found if most is None else few_facts(store, documents=documents, facts=found, per_document=most)


def weights(params: RetrainParams, cleaned: list[Artifact]) -> Artifact | None:
    """What names the documents that count for less in the mixture; None unless parameters ask for it."""
    asked = params.dataset.stale.pages == "weight"
    return next(artifact for artifact in cleaned if artifact.step == stale_pages.name) if asked else None


def evaluate(
    store: Store, params: RetrainParams, resolved: Resolved, data: Dataset, adapter: Artifact, answer: Step[Any]
) -> Artifact:
    """Every arm's answers, then the report that compares them with each other and with the last release."""
    about = release_facts(params, resolved)
    answered = answers(store, data, params.evaluation, adapter, answer)
    judged = judgements(store, params.evaluation, data, answered)
    made_report = report(
        store,
        items=data.items,
        answers=answered,
        adapter=adapter,
        table=data.table,
        params=params.evaluation,
        previous=previous_release(store, adapter, about),
        judgements=judged or None,
        chunks=data.chunks,
        dialogues=data.dialogues,
        data=data.report,
        recipe={name: about.params[name] for name in RECIPE},
        headline=headline(params, resolved),
    )
    show_evaluation(store, made_report)
    return made_report


def judgements(store: Store, params: EvaluationParams, data: Dataset, made: list[Artifact]) -> list[Artifact]:
    """The judge's grades, one artifact per arm; none without a judge."""
    if params.judge is None:
        return []
    return [
        judge.named(f"judge-{arm}")(
            store,
            items=data.items,
            answers=answers_of_arm,
            documents=data.documents,
            dialogues=data.dialogues,
            params=params.judge,
        )
        for arm, answers_of_arm in zip(params.arms, made, strict=True)
    ]
