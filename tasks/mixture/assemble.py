"""Chunks and dialogues become the one training table.

Two passes, so that memory does not grow with the corpus: the first encodes everything once and puts the ids on disk;
lengths decide what is taken, how often, and into which row it goes; the second reads the ids in the table's order and
writes Parquet.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final

import numpy as np

from tasks.base.errors import InputError
from tasks.base.records import Weight
from tasks.base.runs import StepRun
from tasks.base.shards import mapped, shards_of
from tasks.base.steps import step
from tasks.base.store import Artifact
from tasks.mixture.encode import Encoded, Encoding, encode_shard
from tasks.mixture.packing import best_fit
from tasks.mixture.params import MixtureParams, Overlong, Packing
from tasks.mixture.rows import ROWS, TABLE, Part, Row
from tasks.mixture.sampling import Ints, rank, repeats, weighed
from tasks.mixture.spill import IGNORED, TokenSpill
from tasks.mixture.table import TableWriter

VERSION = "2026.11.24.1"

WEIGHTS: Final = "weights.jsonl"
"""Documents that count for less, in the artifact that `corpus/stale-pages` wrote."""
PROGRESS_PARTS: Final = 500
"""Parts between two reports of progress."""


@dataclass
class Parts:
    """What is known in memory about the encoded parts, which lie in the spill under the same numbers."""

    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)


def fit(part: Encoded, params: MixtureParams) -> tuple[int, str]:
    """How many of a part's tokens, from its first on, can be trained on, and why not all: `overlong`, `cut` or
    `no-loss` (nothing would be learned from it); an empty reason if all. Chunking keeps raw text within a row; should a
    chunk exceed it all the same, it is cut, never dropped.
    """
    kept, reason = len(part.ids), ""
    if kept > params.max_tokens:
        if params.overlong_dialogues is Overlong.DROP and not part.source.startswith("raw-"):
            return 0, "overlong"
        kept, reason = params.max_tokens, "cut"
    return (0, "no-loss") if (part.labels[1:kept] == IGNORED).all() else (kept, reason)


def collect(run: StepRun, encoded: Iterable[Encoded], spill: TokenSpill, params: MixtureParams, total: int) -> Parts:
    """First pass: puts what can be trained on into the spill; every token that is left out is counted.

    Args:
        run: gets counts and verdicts.
        encoded: in the order of the parts' numbers.
        spill: empty.
        params: what fits.
        total: how many parts there can be, for the progress bar.
    """
    parts = Parts()
    for number, part in enumerate(encoded, 1):
        if number % PROGRESS_PARTS == 0 or number == total:
            run.progress(number, total, "rows")
        length = len(part.ids)
        run.count("parts_in")
        run.count("tokens_in", length)
        kept, reason = fit(part, params)
        if reason:
            run.verdict(part.id, reason, f"{kept} of {length} tokens stay; a row holds {params.max_tokens}")
            run.count(f"tokens_out:{reason}", length - kept)
        if kept:
            spill.append(part.ids[:kept], part.labels[:kept])
            parts.ids.append(part.id)
            parts.sources.append(sys.intern(part.source))  # one string for many parts
            parts.documents.append(sys.intern(part.document_id))
    spill.close()
    return parts


def lay_out(parts: Parts, spill: TokenSpill, times: Ints, params: MixtureParams) -> Iterator[tuple[Row, list[int]]]:
    """Rows in the table's order, which is shuffled by a hash so that neighbouring rows come from different documents;
    with the numbers of their parts.
    """
    numbers = np.repeat(np.arange(len(times)), times)
    copies = np.arange(len(numbers)) - np.repeat(np.cumsum(times) - times, times)
    lengths = np.asarray(spill.lengths, dtype=np.int64)[numbers]
    if params.packing is Packing.BEST_FIT:
        packed = best_fit(lengths, params.max_tokens)
    else:
        packed = [[place] for place in range(len(numbers))]
    packed.sort(key=lambda row: rank(params.mixture_seed, f"{parts.ids[numbers[row[0]]]}\0{copies[row[0]]}"))
    for index, row in enumerate(packed):
        held = numbers[row].tolist()
        members = tuple(
            Part(
                id=parts.ids[number],
                source=parts.sources[number],
                document_id=parts.documents[number],
                tokens=spill.lengths[number],
                trained_tokens=spill.trained[number],
                copy_number=copy,
            )
            for number, copy in zip(held, copies[row].tolist(), strict=True)
        )
        yield Row(id=f"row-{index:08d}", tokens=sum(part.tokens for part in members), parts=members), held


@step("mixture/assemble", VERSION)
def assemble(
    run: StepRun,
    chunks: Artifact,
    dialogues: Artifact,
    model: Artifact,
    params: MixtureParams,
    replay: Artifact | None = None,
    weights: Artifact | None = None,
) -> None:
    """Writes `table.parquet` and `rows.jsonl`; tokens add up: tokens_in + tokens_repeated = tokens + the `tokens_out:…`
    counts. `weights` has documents that count for less (`weights.jsonl`); a budget is not filled up again for them.
    """
    if params.replay and not replay:
        raise InputError(
            "dataset.replay: asked for, but this flow makes no replay stream; use `retrain` or `build-dataset`"
        )
    with run.scratch() as folder, TokenSpill(folder) as spill:
        encoded = chain(
            _encoded(run, chunks, Encoding(model, "raw", params.train_held_out, None), params),
            _encoded(run, dialogues, Encoding(model, "dialogue", params.train_held_out, params.system_prompt), params),
            _encoded(run, replay, Encoding(model, "replay", params.train_held_out, params.system_prompt), params),
        )
        total = sum(source.counts.get("records", 0) for source in (chunks, dialogues, replay) if source)
        parts = collect(run, encoded, spill, params, total)
        lengths = np.asarray(spill.lengths, dtype=np.int64)
        drawn = repeats(
            parts.sources,
            parts.documents,
            lengths,
            params.train_tokens,
            params.shares,
            params.max_repeats,
            params.mixture_seed,
        )
        lighter = {one.id: one.weight for one in run.read(weights, Weight, WEIGHTS)} if weights else {}
        times = weighed(drawn, parts.ids, parts.documents, lighter, params.mixture_seed)
        if not times.any():
            raise InputError(_why_empty(parts, params))
        for reason, left_out in (("not-sampled", drawn == 0), ("down-weighted", (drawn > 0) & (times == 0))):
            for number in np.flatnonzero(left_out).tolist():
                run.verdict(parts.ids[number], reason, f"{parts.sources[number]}, {lengths[number]} tokens")
            run.count(f"tokens_out:{reason}", int(lengths[left_out].sum()))
        run.count("tokens_repeated", int((lengths * np.maximum(times - 1, 0)).sum()))
        rows = lay_out(parts, spill, times, params)
        written = run.write(_placed(run, rows, TableWriter(run.path(TABLE), spill.part)), ROWS)
    run.count("capacity_tokens", params.max_tokens * written)


def _why_empty(parts: Parts, params: MixtureParams) -> str:
    if not parts.ids:
        return "dataset: there is nothing to train on; every document was filtered out or held out"
    if params.train_tokens is None:
        return f"dataset.shares: names none of the sources that there are ({', '.join(sorted(set(parts.sources)))})"
    return f"dataset.train_tokens: {params.train_tokens} tokens hold none of the {len(parts.ids)} rows; raise it"


def _placed(run: StepRun, rows: Iterator[tuple[Row, list[int]]], table: TableWriter) -> Iterator[Row]:
    """Writes the table while `rows.jsonl` is written, so that no more than a row group is in memory."""
    for row, numbers in rows:
        table.append(row, numbers)
        run.count("records")
        run.count("tokens", row.tokens)
        for part in row.parts:
            run.count(f"tokens:{part.source}", part.tokens)
            run.count("trained_tokens", part.trained_tokens)
            run.count(f"trained_tokens:{part.source}", part.trained_tokens)
        yield row
    table.close()


def _encoded(run: StepRun, records: Artifact | None, encoding: Encoding, params: MixtureParams) -> Iterator[Encoded]:
    """An artifact's parts in stored order, encoded here or on a cluster."""
    if records is None:
        return
    for shard in mapped(partial(encode_shard, encoding), shards_of(run.store, records), params):
        for name, number in (("held_out", shard.held_out), ("held_out_trained", shard.held_out_trained)):
            if number:
                run.count(name, number)
        yield from shard.parts
