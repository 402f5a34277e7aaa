"""From what is known of the sources to the training table: replay ▶ assemble ▶ leak guard ▶ report of the data.

The replay is written by the base model, so with a pool the machine that has the GPU begins here (`compute.py`).
"""

from __future__ import annotations

from typing import Any

from flows.dataset import Dataset
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


class Unmixed(Params):
    """What the training table is made of, by reference: passed inside a process and to a GPU machine alike."""

    documents: Artifact
    """The split."""
    model: Artifact
    """The base model."""
    chunks: Artifact
    """Raw text of both splits."""
    dialogues: Artifact
    """Dialogues of both splits."""
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


def mixed(store: Store, unmixed: Unmixed, by: Step[Any] = replay) -> Dataset:
    """Makes the table and guards the questions; `by` is the replay's step, placed where the GPU is."""
    wanted, model, chunks, pairs = unmixed.dataset, unmixed.model, unmixed.chunks, unmixed.dialogues
    general = replayed(store, wanted, model, chunks, pairs, by)
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
        corpus=list(unmixed.corpus),
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


def replayed(
    store: Store,
    wanted: DatasetParams,
    model: Artifact,
    chunks: Artifact,
    pairs: Artifact,
    by: Step[Any] = replay,
) -> Artifact | None:
    """The general text beside the sources: what the base model writes, or a source of dialogues; None = not asked."""
    if wanted.replay is None:
        return None
    if wanted.replay.source is not None:
        return replay_source(store, params=wanted.replay)
    tokens = 0
    if PENDING not in (chunks.sha256, pairs.sha256):  # `explain` cannot know how many before there are chunks
        tokens = replay_wanted(store, chunks, pairs, model, wanted.mixture, wanted.train_tokens, wanted.replay.share)
    return by(store, model=model, params=wanted.replay, tokens=tokens)
