"""Makes the training table of what is known: dialogues ▶ replay ▶ assemble ▶ leak guard ▶ report.

A model writes the replay, and study material before the dialogues if it is asked to, so with a pool the machine that
has the GPU begins here (`compute.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flows.params import DatasetParams
from tasks.base.artifacts import Artifact
from tasks.base.params import Params
from tasks.base.steps import PENDING, Step
from tasks.base.store import Store
from tasks.mixture.leaks.guard import leak_guard
from tasks.mixture.replay.sample import replay
from tasks.mixture.replay.sources import replay_source
from tasks.mixture.report.data_report import data_report
from tasks.mixture.table.assemble import assemble
from tasks.mixture.table.expected import replay_wanted
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.feedback import FeedbackParams, feedback
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.study.written import written


class Dataset(Params):
    """The finished artifacts that come before training."""

    documents: Artifact
    """The split."""
    model: Artifact
    """The base model."""
    chunks: Artifact
    """Raw text of both splits."""
    dialogues: Artifact
    """Dialogues of both splits."""
    table: Artifact
    """The training table."""
    items: Artifact
    """Guarded questions."""
    report: Artifact
    """Of the data."""


class Unwritten(Params):
    """What dialogues are made of, part of which a model has yet to write."""

    facts: Artifact
    calls: Artifact
    """What the model is shown and asked."""
    writer: Artifact
    """The model that writes."""
    synthesis: SynthesisParams
    corrections: Artifact | None
    feedback: FeedbackParams | None


class Unmixed(Params):
    """What the training table is made of, by reference, for this process and a GPU machine alike."""

    documents: Artifact
    """The split."""
    model: Artifact
    """The base model."""
    chunks: Artifact
    """Raw text of both splits."""
    dialogues: Artifact | Unwritten
    """Dialogues of both splits, or what they are made of."""
    drafts: Artifact
    """Questions before the leak guard."""
    corpus: tuple[Artifact, ...]
    """What was harvested and what became of it, for the report."""
    weights: Artifact | None
    """Names the documents that count for less; null = none do."""
    dataset: DatasetParams
    """With the passes as numbers."""
    epochs: int
    headline: str
    """Of the report's page."""


@dataclass(frozen=True)
class Writing:
    """The steps in which a model writes, placed where the GPU is."""

    written: Step[Any] = written
    replay: Step[Any] = replay


def mixed(store: Store, unmixed: Unmixed, by: Writing = Writing()) -> Dataset:
    """Has the model write, makes the dialogues and the table, and guards the questions."""
    wanted, model, chunks = unmixed.dataset, unmixed.model, unmixed.chunks
    pairs, corpus = unmixed.dialogues, list(unmixed.corpus)
    if isinstance(pairs, Unwritten):
        votes, pairs = pairs.feedback, spoken(store, unmixed.documents, pairs, by.written)
        corpus.append(pairs)
        pairs = feedback(store, dialogues=pairs, params=votes) if votes else pairs
    general = replayed(store, wanted, model, chunks, pairs, by.replay)
    table = assemble(
        store,
        chunks=chunks,
        dialogues=pairs,
        model=model,
        params=wanted.mixture,
        max_tokens=wanted.max_tokens,
        train_tokens=wanted.train_tokens,
        replay=general,
        replay_share=wanted.replay.share if wanted.replay else 0.0,
        weights=unmixed.weights,
        runner=wanted,
    )
    guarded = leak_guard(
        store,
        items=unmixed.drafts,
        table=table,
        chunks=chunks,
        dialogues=pairs,
        params=wanted.leaks,
        train_held_out=wanted.mixture.train_held_out,
        replay=general,
        runner=wanted,
    )
    about = data_report(
        store,
        table=table,
        chunks=chunks,
        model=model,
        max_tokens=wanted.max_tokens,
        corpus=corpus,
        items=unmixed.drafts,
        guarded=guarded,
        epochs=unmixed.epochs,
        runner=wanted,
        headline=unmixed.headline,
    )
    return Dataset(
        documents=unmixed.documents,
        model=model,
        chunks=chunks,
        dialogues=pairs,
        table=table,
        items=guarded,
        report=about,
    )


def spoken(store: Store, documents: Artifact, asked: Unwritten, by: Step[Any] = written) -> Artifact:
    """The dialogues, study material that a model writes among them."""
    return dialogues(
        store,
        documents=documents,
        facts=asked.facts,
        params=asked.synthesis,
        corrections=asked.corrections,
        calls=asked.calls,
        written=by(store, calls=asked.calls, model=asked.writer, params=asked.synthesis.study),
    )


def replayed(
    store: Store,
    wanted: DatasetParams,
    model: Artifact,
    chunks: Artifact,
    pairs: Artifact,
    by: Step[Any] = replay,
) -> Artifact | None:
    """The general text beside the sources: the base model's own or a source's; None = not asked."""
    if wanted.replay is None:
        return None
    if wanted.replay.source is not None:
        return replay_source(store, params=wanted.replay)
    tokens = 0
    if PENDING not in (chunks.sha256, pairs.sha256):  # `explain` cannot know how many before there are chunks
        tokens = replay_wanted(store, chunks, pairs, model, wanted.mixture, wanted.train_tokens, wanted.replay.share)
    return by(store, model=model, params=wanted.replay, tokens=tokens)
