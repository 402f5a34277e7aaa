"""What a run will take, before anything is spent: API calls, training tokens, hours, memory, dollars.

Every step that costs nothing is done for it (harvest, corpus and, where the model and the dialogues are at hand, the
table), under the keys of the run, which finds them done. Nothing is sent to an API, nothing is rented, and of a model
on the Hub no weights are fetched.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from flows.compute import is_written
from flows.mixing import replayed
from flows.params import RetrainParams
from flows.resolve import Resolved
from flows.retrain import build_corpus, harvest, known_facts, weights
from tasks.base.artifacts import Artifact
from tasks.base.records import Split
from tasks.base.steps import Step, without_prefect
from tasks.base.store import Store
from tasks.corpus.chunk import chunk
from tasks.corpus.measure import CorpusFigures, measure
from tasks.llm.prices import O200K, count_all
from tasks.mixture.params import HeldOut
from tasks.mixture.replay.sample import replay
from tasks.mixture.table.assemble import assemble
from tasks.mixture.table.expected import TableFigures, expected, figures, replay_wanted
from tasks.model.base_model import base_model
from tasks.model.params import STUB, BaseModelParams
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.feedback import feedback
from tasks.synthesis.params import STUDY
from tasks.synthesis.plan import Spending, estimate, spending, tokens_by_method, tokens_of_votes
from tasks.synthesis.study.calls import calls
from tasks.synthesis.study.forecast import Study, study_of
from tasks.synthesis.study.written import written
from tasks.training.plan.cards import Card
from tasks.training.plan.forecast import Forecast, forecast, writing_hours
from tasks.training.plan.shape import Shape, shape_of


class RunPlan(BaseModel):
    """The whole plan, as `rawtune plan --json` prints it."""

    model_config = ConfigDict(frozen=True)

    name: str
    sources: dict[str, str]
    """Commit by repository."""
    corpus: CorpusFigures
    synthesis: Spending
    study: Study | None
    """What a model will write by itself; null = nothing, or it is written already."""
    table: TableFigures
    training: Forecast
    gate: list[str]
    """Bounds that the run's questions are too few to decide; empty where all of them can be."""
    usd: float
    """API and GPU together, as expected; without a GPU price the API alone."""


def plan_run(
    store: Store, params: RetrainParams, resolved: Resolved, card: Card | None, usd_per_hour: float | None
) -> RunPlan:
    """Plans a run whose training is done on `card` (None: the CPU) at a price (None: not known).

    Raises:
        InputError: a price, a model or its shape is not known, or the training does not fit the card.
    """
    wanted = params.settled_dataset
    with without_prefect():
        harvested = harvest(store, params, resolved)
        cleaned = build_corpus(store, params, harvested)
        documents = cleaned[-1]
        model = model_at_hand(store, params.training)
        asking = bool(params.synthesis.by("openai"))
        known = known_facts(store, params, harvested, documents)
        estimated = estimate(store, documents, known, params.synthesis) if asking else None
        material: dict[str, Any] = {
            "documents": documents, "facts": known, "params": params.synthesis, "corrections": resolved.corrections,
        }  # fmt: skip
        study = None
        if is_written(store, params):
            shown = calls(store, documents=documents, params=params.synthesis.study)
            writer = model_at_hand(store, params.synthesis.study.writer or params.training)
            asked: dict[str, Any] = {"calls": shown, "model": writer, "params": params.synthesis.study}
            if writer is not None and is_made(store, written, **asked):
                material |= {"calls": shown, "written": written(store, **asked)}
            else:
                study = study_of(store, shown, params.synthesis.study)
        pairs = dialogues(store, **material) if not asking or is_made(store, dialogues, **material) else None
        voted = feedback(store, dialogues=pairs, params=resolved.feedback) if pairs and resolved.feedback else pairs
        if model is None:
            raw = measure(store, documents, count_all, wanted.render, wanted.max_tokens)
        else:
            chunks = chunk(
                store,
                documents=documents,
                model=model,
                params=wanted.render,
                max_tokens=wanted.max_tokens,
                runner=wanted,
            )
            raw = {name: tokens for name, tokens in chunks.counts.items() if name.count(":") == 2}
        if (
            model is not None
            and voted is not None
            and study is None
            and replay_is_at_hand(store, params, model, chunks, voted)
        ):
            stream = replayed(store, wanted, model, chunks, voted)
            sources: dict[str, Any] = {"chunks": chunks, "dialogues": voted, "model": model, "replay": stream}
            lighter = weights(params, cleaned)
            made_table = assemble(
                store,
                **sources,
                params=wanted.mixture,
                max_tokens=wanted.max_tokens,
                train_tokens=wanted.train_tokens,
                replay_share=wanted.replay.share if wanted.replay else 0.0,
                weights=lighter,
                runner=wanted,
            )
            table = figures(store, made_table)
        else:
            held_out = wanted.mixture.train_held_out is HeldOut.ALL
            if voted is not None:
                told = tokens_by_method(store, voted, held_out)
            else:
                told = (estimated.dialogue_tokens if estimated else {}) | tokens_of_votes(resolved.feedback)
            told |= {STUDY: study.dialogue_tokens} if study else {}
            table = expected(raw, told, wanted.mixture, wanted.max_tokens, wanted.train_tokens, wanted.replay)
    shape = shape_of(store.checkout(model) if model else params.training.base_model, params.training.revision)
    training = forecast(shape, params.training, table.tokens, table.rows, table.longest_row, card, usd_per_hour)
    if study is not None:
        hours = writing_hours(writer_shape(store, params, shape), study.prompt_tokens, study.written_tokens, card)
        study = study.model_copy(
            update={"hours": round(hours, 4), "usd": None if usd_per_hour is None else round(hours * usd_per_hour, 4)}
        )
    api = spending(params.synthesis, estimated, pairs)
    return RunPlan(
        name=params.name,
        sources={source.snapshot.repo: source.snapshot.revision for source in resolved.sources},
        corpus=CorpusFigures(
            documents={split.value: documents.counts.get(split.value, 0) for split in Split},
            tokens=raw,
            tokenizer=params.training.public_name if model else O200K,
        ),
        synthesis=api,
        study=study,
        table=table,
        training=training,
        gate=params.gate_shortfalls(),
        usd=round(api.usd + (training.usd or 0.0) + (study.usd or 0.0 if study else 0.0), 4),
    )


def model_at_hand(store: Store, params: BaseModelParams) -> Artifact | None:
    """A model if having it costs no download: the stub, a folder, or one that the store has."""
    local = params.base_model == STUB or params.folder is not None
    if local or is_made(store, base_model, params=params):
        return base_model(store, params=params)
    return None


def writer_shape(store: Store, params: RetrainParams, base: Shape) -> Shape:
    """The shape of the model that writes study material; `base` where that is the one that is trained."""
    writer = params.synthesis.study.writer
    if writer is None:
        return base
    held = model_at_hand(store, writer)
    return shape_of(store.checkout(held) if held else writer.base_model, writer.revision)


def replay_is_at_hand(store: Store, params: RetrainParams, model: Artifact, chunks: Artifact, pairs: Artifact) -> bool:
    """Whether the replay needs no model to write first."""
    wanted = params.settled_dataset
    if wanted.replay is None or wanted.replay.source is not None:
        return True
    tokens = replay_wanted(store, chunks, pairs, model, wanted.mixture, wanted.train_tokens, wanted.replay.share)
    return is_made(store, replay, model=model, params=wanted.replay, tokens=tokens)


def is_made(store: Store, step: Step[Any], **arguments: Any) -> bool:
    """Whether the store has the step's artifact."""
    manifest = store.manifest(step.name, step.key(**arguments))
    return manifest is not None and store.is_whole(manifest)
