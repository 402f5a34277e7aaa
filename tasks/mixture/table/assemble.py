"""Chunks and dialogues become the one training table.

Two passes, so that memory does not grow with the corpus: the first encodes everything once and puts the ids on disk;
lengths decide what is taken, how often, and into which row it goes; the second reads the ids in the table's order and
writes Parquet.

Between the passes the ids lie on disk in the order of the parts and are later read at random: four bytes a token, bits
inverted where it bears no loss.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import IGNORED, Split, Weight
from tasks.base.runs import StepRun
from tasks.base.shards import LOCAL, RunnerParams, mapped, shards_of
from tasks.base.steps import step
from tasks.mixture.params import MixtureParams, Overlong, Packing, Stream
from tasks.mixture.table.draw import Ints, is_replay, rank, repeats, replay_tokens, weighed
from tasks.mixture.table.encode import Encoded, Encoding, encode_shard
from tasks.mixture.table.rows import ROWS, SOFT_IDS, TABLE, Part, Row, SoftTargets, TableWriter, best_fit
from tasks.text.loss_rows import LossRow

VERSION = "2026.11.30.1"

WEIGHTS: Final = "weights.jsonl"
"""Documents that count for less, in the artifact that `corpus/stale-pages` wrote."""
HELD_SAMPLES: Final = "held_samples.jsonl"
"""Samples of the base that are not trained on: rows of the streams `samples:<stream>`."""
CUT: Final = ("raw-", *(f"replay-{stream}" for stream in Stream))
"""Beginnings of the sources whose parts are cut to a row's length, never dropped."""
PROGRESS_ROWS: Final = 200
"""Rows between two reports of progress."""


@dataclass
class Parts:
    """What is known in memory about the encoded parts, which lie in the spill under the same numbers."""

    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)


def fit(part: Encoded, max_tokens: int, overlong: Overlong) -> tuple[Ints, list[tuple[int, str]]]:
    """How many of each part's first tokens can be trained on, and why some parts lose tokens.

    Of the parts that lose some it gives number and reason: `overlong`, `cut` or `no-loss` (nothing would be learned
    from it). Chunking keeps raw text within a row; should a chunk or a sample of the base model exceed it all the same,
    it is cut, never dropped.
    """
    kept = np.minimum(part.lengths, max_tokens)
    reasons = {int(number): "cut" for number in np.flatnonzero(part.lengths > max_tokens)}
    if overlong is Overlong.DROP:
        for number in [number for number in reasons if not part.sources[number].startswith(CUT)]:
            kept[number], reasons[number] = 0, "overlong"
    trained = trained_tokens(part.mask, np.cumsum(part.lengths) - part.lengths, kept)
    for number in np.flatnonzero(trained == 0).tolist():
        if reasons.get(number) != "overlong":
            kept[number], reasons[number] = 0, "no-loss"
    return kept, sorted(reasons.items())


def collect(
    run: StepRun, encoded: Iterable[Encoded], spill: TokenSpill, max_tokens: int, overlong: Overlong, total: int
) -> Parts:
    """First pass: puts what can be trained on into the spill; every token that is left out is counted.

    Args:
        run: gets counts and verdicts.
        encoded: in the order of the parts' numbers.
        spill: empty.
        max_tokens: of a row.
        overlong: what becomes of a longer dialogue.
        total: how many parts there can be, for the progress bar.
    """
    parts = Parts()
    done = 0
    for shard in encoded:
        done += len(shard.names) + shard.held_out
        run.progress(done, total, "rows")
        run.count("parts_in", len(shard.names))
        run.count("tokens_in", len(shard.ids))
        kept, reasons = fit(shard, max_tokens, overlong)
        for number, reason in reasons:
            length, stay = int(shard.lengths[number]), int(kept[number])
            run.verdict(shard.names[number], reason, f"{stay} of {length} tokens stay; a row holds {max_tokens}")
            run.count(f"tokens_out:{reason}", length - stay)
        places = np.arange(len(shard.ids)) - np.repeat(np.cumsum(shard.lengths) - shard.lengths, shard.lengths)
        tokens = places < np.repeat(kept, shard.lengths)
        spill.append(shard.ids[tokens], shard.mask[tokens], kept[kept > 0])
        for number in np.flatnonzero(kept).tolist():
            parts.ids.append(shard.names[number])
            parts.sources.append(sys.intern(shard.sources[number]))  # one string for many parts
            parts.documents.append(sys.intern(shard.documents[number]))
    spill.close()
    return parts


def lay_out(
    parts: Parts, spill: TokenSpill, times: Ints, max_tokens: int, params: MixtureParams
) -> Iterator[tuple[Row, list[int]]]:
    """Rows in the table's order, with the numbers of their parts.

    A hash shuffles them, so that neighbouring rows come from different documents.
    """
    numbers = np.repeat(np.arange(len(times)), times)
    copies = np.arange(len(numbers)) - np.repeat(np.cumsum(times) - times, times)
    lengths = spill.lengths[numbers]
    if params.packing is Packing.BEST_FIT:
        packed = best_fit(lengths, max_tokens)
    else:
        packed = [[place] for place in range(len(numbers))]
    tokens, trained = spill.lengths.tolist(), spill.trained.tolist()
    packed.sort(key=lambda row: rank(params.seed, f"{parts.ids[numbers[row[0]]]}\0{copies[row[0]]}"))
    for index, row in enumerate(packed):
        held = numbers[row].tolist()
        members = tuple(
            Part(
                id=parts.ids[number],
                source=parts.sources[number],
                document_id=parts.documents[number],
                tokens=tokens[number],
                trained_tokens=trained[number],
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
    max_tokens: int,
    train_tokens: int | None = None,
    replay: Artifact | None = None,
    replay_share: float = 0.0,
    weights: Artifact | None = None,
    runner: RunnerParams = LOCAL,
) -> None:
    """Writes `table.parquet`, `rows.jsonl` and, with samples of the base, `held_samples.jsonl`.

    Tokens add up: tokens_in + tokens_repeated = tokens + the `tokens_out:…` counts. `weights` has documents that count
    for less (`weights.jsonl`); a budget is not filled up again for them.
    """
    with run.scratch() as folder, TokenSpill(folder) as spill:
        encoded = chain(
            _encoded(run, chunks, Encoding(model, "raw", params.train_held_out, None), runner),
            _encoded(run, dialogues, Encoding(model, "dialogue", params.train_held_out, params.system_prompt), runner),
            _encoded(run, replay, Encoding(model, "replay", params.train_held_out, params.system_prompt), runner),
        )
        total = sum(source.counts.get("records", 0) for source in (chunks, dialogues, replay) if source)
        parts = collect(run, encoded, spill, max_tokens, params.overlong_dialogues, total)
        lengths = spill.lengths
        drawn = repeats(
            parts.sources,
            parts.documents,
            lengths,
            train_tokens,
            params,
            replay_share,
        )
        lighter = {one.id: one.weight for one in run.read(weights, Weight, WEIGHTS)} if weights else {}
        times = weighed(drawn, parts.ids, parts.documents, lighter, params.seed)
        if not times.any():
            raise InputError(_why_empty(parts, train_tokens))
        for reason, left_out in (("not-sampled", drawn == 0), ("down-weighted", (drawn > 0) & (times == 0))):
            for number in np.flatnonzero(left_out).tolist():
                run.verdict(parts.ids[number], reason, f"{parts.sources[number]}, {lengths[number]} tokens")
            run.count(f"tokens_out:{reason}", int(lengths[left_out].sum()))
        if replay_share:
            run.count("replay_tokens_missing", _missing(parts.sources, lengths * times, replay_share))
        run.count("tokens_repeated", int((lengths * np.maximum(times - 1, 0)).sum()))
        rows = lay_out(parts, spill, times, max_tokens, params)
        written = run.write(
            _placed(run, rows, TableWriter(run.path(TABLE), spill.parts, soft=soft_targets(run, replay))), ROWS
        )
    if replay is not None:
        _set_aside(run, replay)
    run.count("records", written)
    run.count("capacity_tokens", max_tokens * written)


def _set_aside(run: StepRun, replay: Artifact) -> None:
    """Writes the base's samples that are not trained on as rows whose loss training measures."""
    held = [one for one in run.read_raw(replay) if one["split"] == Split.HELD_OUT]
    if not held:
        return
    with run.path(HELD_SAMPLES).open("w", encoding="utf-8") as writer:
        for one in held:
            ids, given = one["ids"], one["given_tokens"]
            row = LossRow(one["id"], f"samples:{one['method']}", ids, [IGNORED] * given + ids[given:])
            writer.write(json.dumps(vars(row)) + "\n")
    run.count("held_samples", len(held))


def soft_targets(run: StepRun, replay: Artifact | None) -> SoftTargets | None:
    """Those that stand beside the samples, if the replay has any."""
    if replay is None or not (run.checkout(replay) / SOFT_IDS).exists():
        return None
    lengths = {sample["id"]: len(sample["ids"]) for sample in run.read_raw(replay)}
    return SoftTargets(run.checkout(replay), lengths)


def _missing(sources: Sequence[str], spent: Ints, share: float) -> int:
    """How many tokens the replay lacks of its share, but for less than a sample's length."""
    replayed = np.asarray([is_replay(source) for source in sources])
    lacking = replay_tokens(int(spent[~replayed].sum()), share) - int(spent[replayed].sum())
    return max(0, lacking) if lacking > spent[replayed].max(initial=0) else 0


def _why_empty(parts: Parts, train_tokens: int | None) -> str:
    if not parts.ids:
        return "dataset: there is nothing to train on; every document was filtered out or held out"
    if train_tokens is None:
        known = ", ".join(sorted(set(parts.sources)))
        return f"dataset.mixture.shares: names none of the sources that there are ({known})"
    return f"dataset.train_tokens: {train_tokens} tokens hold none of the {len(parts.ids)} rows; raise it"


def _placed(run: StepRun, rows: Iterator[tuple[Row, list[int]]], table: TableWriter) -> Iterator[Row]:
    """Writes the table while `rows.jsonl` is written, so that no more than a row group is in memory."""
    tokens: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    for number, (row, numbers) in enumerate(rows, 1):
        if number % PROGRESS_ROWS == 0:
            run.progress(number, unit="rows written")
        table.append(row, numbers)
        for part in row.parts:
            tokens[part.source] += part.tokens
            trained[part.source] += part.trained_tokens
        yield row
    table.close()
    for name, counted in (("tokens", tokens), ("trained_tokens", trained)):
        run.count(name, counted.total())
        for source, number in counted.items():
            run.count(f"{name}:{source}", number)


def _encoded(run: StepRun, records: Artifact | None, encoding: Encoding, runner: RunnerParams) -> Iterator[Encoded]:
    """An artifact's shards in stored order, encoded here or on a cluster."""
    if records is None:
        return
    shards = shards_of(run.store, records, size=runner.shard_bytes)
    for shard in mapped(partial(encode_shard, encoding), shards, runner):
        for name, number in (("held_out", shard.held_out), ("held_out_trained", shard.held_out_trained)):
            if number:
                run.count(name, number)
        yield shard


class TokenSpill:
    """Append-only store of encoded parts; `close` ends the writing and opens the reading. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = ExitStack()
        self._tokens = self._files.enter_context((folder / "tokens.i32").open("w+b"))
        self._lengths: list[Ints] = []
        self._trained: list[Ints] = []
        self.lengths: Ints = np.zeros(0, np.int64)
        """Tokens per part, known once the spill is closed."""
        self.trained: Ints = np.zeros(0, np.int64)
        """Tokens under the loss, per part. The first token never is: nothing before it in its document predicts it."""
        self._starts: Ints = np.zeros(1, np.int64)

    def append(self, ids: NDArray[np.int32], mask: NDArray[np.bool_], lengths: Ints) -> None:
        """Adds parts.

        Args:
            ids: tokens of all of them, one after the other.
            mask: whether a token is under the loss.
            lengths: tokens of each, at least 1.
        """
        self._tokens.write(np.where(mask, ids, ~ids).astype(np.int32).tobytes())
        self._lengths.append(lengths)
        self._trained.append(trained_tokens(mask, np.cumsum(lengths) - lengths, lengths))

    def close(self) -> None:
        """Ends the writing; `parts` can be called from now on."""
        self._tokens.flush()
        if self._lengths:
            self.lengths, self.trained = np.concatenate(self._lengths), np.concatenate(self._trained)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def parts(self, numbers: Sequence[int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ids and labels of parts, one after the other.

        They are read, not memory-mapped: pages of a map would count as this process's memory.
        """
        lengths = self.lengths[numbers]
        stored = np.empty(int(lengths.sum()), np.int32)
        room = stored.data.cast("B")
        filled = 0
        for start, size in zip((4 * self._starts[numbers]).tolist(), (4 * lengths).tolist(), strict=True):
            os.preadv(self._tokens.fileno(), [room[filled : filled + size]], start)
            filled += size
        masked = stored < 0
        ids = np.where(masked, ~stored, stored)
        return ids, np.where(masked, np.int32(IGNORED), ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.close()


def trained_tokens(mask: NDArray[np.bool_], starts: Ints, lengths: Ints) -> Ints:
    """Tokens under the loss of each part but its first, which nothing predicts.

    Args:
        mask: of the tokens of all parts, one after the other.
        starts: where each part begins.
        lengths: how much of it counts.
    """
    before = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
    return np.asarray(before[starts + lengths] - before[starts + np.minimum(lengths, 1)], np.int64)
