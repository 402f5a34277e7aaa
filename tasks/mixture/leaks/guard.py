"""Takes out questions whose answers are in the training table, before anything is spent on training.

The rule is per suite. For most a leak is question and answer in one training text. For suites whose answers are in the
raw text on purpose (code recall) only the prompts of training dialogues are looked at. The split is checked too:
nothing of a held-out document may be in the table unless the parameters say so, and a document is on one side only.

The table's texts are held against the questions shard by shard, here or on a cluster. The words of texts are kept on
this machine as numbers, because finding them takes longer than searching them. What is kept together are the texts of
one document; the key is their SHA-256.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from tasks.base.artifacts import Artifact
from tasks.base.batching import by_size
from tasks.base.errors import LeakError
from tasks.base.kept import Kept
from tasks.base.records import Chunk, Item, Record, Split
from tasks.base.runs import RECORDS, StepRun
from tasks.base.shards import LOCAL, RunnerParams, Shard, mapped, shards_of
from tasks.base.steps import step
from tasks.mixture.leaks.matching import WORD, Match, QuestionIndex, Texts, WordNumbers, fold
from tasks.mixture.params import HeldOut, LeakParams, LeakPolicy
from tasks.mixture.table.rows import ROWS

VERSION = "2026.11.24.1"

CACHE_VERSION: Final = 2
"""Of what counts as a word and of the stored bytes."""
HITS: Final = "hits.jsonl"
HITS_PER_ITEM: Final = 3
"""Training texts listed for an item; all are counted."""
SEAM_CHARACTERS: Final = 2_000
"""End of the chunk before that is read together with a chunk, so that a cut between question and answer hides nothing.
"""
BATCH_CHARACTERS: Final = 4_000_000
"""Training text that is looked through together."""
CONTEXT_CHARACTERS: Final = 200
"""Shown on either side of a passage."""


class Sides:
    """Which side of the split every document is on, and which documents the table holds."""

    def __init__(self) -> None:
        self._split: dict[str, Split] = {}
        self._trained: set[str] = set()

    def note(self, document_id: str, split: Split, is_trained: bool, is_allowed: bool) -> None:
        """Takes in one chunk or dialogue.

        Raises:
            LeakError: its document is on both sides, or it is trained although it is held out.
        """
        if self._split.setdefault(document_id, split) is not split:
            raise LeakError(f"{document_id} is on both sides of the split, so nothing held out can be trusted")
        if is_trained:
            self._trained.add(document_id)
            if split is Split.HELD_OUT and not is_allowed:
                raise LeakError(f"{document_id} is held out but stands in the training table")

    def is_left_out(self, document_id: str) -> bool:
        """Whether the document is on the training side but nothing of it is in the table."""
        return self._split.get(document_id) is Split.TRAIN and document_id not in self._trained


class Hit(Record):
    """A question and the training text that holds it."""

    item_id: str
    suite: str
    part_id: str
    """Chunk or dialogue of the training table."""
    rule: str
    score: float
    question: str
    answer: str
    passage: str
    """The training text around the question."""


class TrainingText(NamedTuple):
    """A part of the table as text."""

    part_id: str
    document_id: str
    said: tuple[str, ...]
    """The messages of a dialogue, or a chunk."""
    is_prompt: tuple[bool, ...]
    """Which of them the user says; of raw text none."""

    def text(self, prompts_only: bool) -> str:
        """All of it, or what the user says."""
        return "\n".join(
            text for text, asked in zip(self.said, self.is_prompt, strict=True) if asked or not prompts_only
        )


@dataclass(frozen=True)
class Against:
    """What every shard is held against."""

    items: Artifact
    """Questions."""
    table: Artifact
    """Tells which chunks and dialogues are trained on."""
    params: LeakParams


class Looked(NamedTuple):
    """What a shard came to."""

    records: int
    hits: list[Hit]
    """In the texts' order, of an item `HITS_PER_ITEM` at most."""
    found: Counter[str]
    """All hits by item."""
    documents: list[tuple[str, Split, bool]]
    """Document, side and whether something of it is trained on, each combination once, in order."""


def look_through_chunks(against: Against, shard: Shard) -> Looked:
    """Holds a shard of chunks against the questions, with the end of the chunk before it."""
    trained = _trained(shard.store.checkout(against.table))
    noted: list[tuple[str, Split, bool]] = []
    texts: list[TrainingText] = []
    first = shard.preceding(Chunk)
    before = (first.document_id, first.id, first.text) if first else ("", "", "")
    for chunk in shard.raw():
        name, document = chunk["id"], chunk["document_id"]
        noted.append((document, Split(chunk["split"]), name in trained))
        if name in trained:
            seam = before[2][-SEAM_CHARACTERS:] if before[0] == document and before[1] in trained else ""
            texts.append(TrainingText(name, document, (chunk["header"] + seam + chunk["text"],), (False,)))
        before = (document, name, chunk["text"])
    return _looked(against, shard, texts, noted)


def look_through_dialogues(against: Against, shard: Shard) -> Looked:
    """Holds a shard of dialogues against the questions."""
    trained = _trained(shard.store.checkout(against.table))
    noted: list[tuple[str, Split, bool]] = []
    texts: list[TrainingText] = []
    for dialogue in shard.raw():
        name, document = dialogue["id"], dialogue["provenance"]["document_id"]
        noted.append((document, Split(dialogue["split"]), name in trained))
        if name in trained:
            messages = dialogue["messages"]
            said = tuple(message["content"] for message in messages)
            texts.append(TrainingText(name, document, said, tuple(message["role"] == "user" for message in messages)))
    return _looked(against, shard, texts, noted)


def _looked(against: Against, shard: Shard, texts: list[TrainingText], noted: list[tuple[str, Split, bool]]) -> Looked:
    counts: Counter[str] = Counter()
    hits = []
    indexes = _indexes(shard.store.checkout(against.items), against.params)
    with WordCache(shard.store.local("cache", "words")) as cache:
        for hit in find_hits(indexes, texts, cache):
            counts[hit.item_id] += 1
            if counts[hit.item_id] <= HITS_PER_ITEM:
                hits.append(hit)
    return Looked(len(noted), hits, counts, list(dict.fromkeys(noted)))


Indexes = dict[bool, tuple[list[Item], QuestionIndex]]
"""Items and their index, by whether only prompts count."""


@lru_cache(maxsize=1)
def _indexes(items: Path, params: LeakParams) -> Indexes:
    """Made once per process, not once per shard."""
    by_rule: dict[bool, list[Item]] = {True: [], False: []}
    with (items / RECORDS).open("rb") as reader:
        for line in reader:
            item = Item.model_validate_json(line)
            by_rule[item.suite in params.prompt_suites].append(item)
    return {
        prompts_only: (asked, QuestionIndex(asked, params.overlap, params.jaccard))
        for prompts_only, asked in by_rule.items()
        if asked
    }


@lru_cache(maxsize=1)
def _trained(table: Path) -> frozenset[str]:
    """Ids of the chunks and dialogues that the table holds."""
    with (table / ROWS).open("rb") as reader:
        return frozenset(part["id"] for line in reader for part in from_json(line, cache_strings="keys")["parts"])


def find_hits(indexes: Indexes, texts: list[TrainingText], cache: WordCache) -> Iterator[Hit]:
    """Every leak; of one item in the order of the texts."""
    for batch in by_size(texts, lambda text: sum(map(len, text.said)), BATCH_CHARACTERS):
        groups = [list(group) for _, group in groupby(batch, key=lambda text: text.document_id)]
        numbered = cache.number([[said for text in group for said in text.said] for group in groups])
        words = np.concatenate([group.words for group in numbered])
        lengths = np.concatenate([group.lengths for group in numbered])
        is_prompt = np.asarray([asked for text in batch for asked in text.is_prompt], np.bool_)
        firsts = np.cumsum([0, *(len(text.said) for text in batch[:-1])])
        for prompts_only, (items, index) in indexes.items():
            counted = is_prompt if prompts_only else np.ones_like(is_prompt)
            looked = Texts(
                words[np.repeat(counted, lengths)],
                np.add.reduceat(lengths * counted, firsts),
                lambda number, batch=batch, prompts_only=prompts_only: batch[number].text(prompts_only),  # type: ignore[misc]
            )
            for number, match in index.search(looked, need_answer=not prompts_only):
                yield _hit(items[match.item], batch[number].part_id, looked.text(number), match)


def _hit(item: Item, part_id: str, text: str, match: Match) -> Hit:
    folded = fold(text)
    shown = text if len(folded) == len(text) else folded
    spans = [word.span() for word in WORD.finditer(folded)]
    start, end = spans[match.start][0], spans[match.end - 1][1]
    return Hit(
        item_id=item.id,
        suite=item.suite,
        part_id=part_id,
        rule=match.rule,
        score=round(match.score, 4),
        question=item.question,
        answer=item.answers[0] if item.answers else "",
        passage=shown[max(0, start - CONTEXT_CHARACTERS) : end + CONTEXT_CHARACTERS],
    )


class Numbered(NamedTuple):
    """Texts one after the other."""

    words: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    """Words of each."""


class WordCache(Kept):
    """`WordNumbers` that remembers. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"words-{CACHE_VERSION}")

    def number(self, groups: Sequence[Sequence[str]]) -> list[Numbered]:
        """The words of the texts of each group, in order."""
        digests = [_digest(group) for group in groups]
        known = {digest: _unpacked(value) for digest, value in self.get(digests).items()}
        numbers = WordNumbers()
        fresh: dict[bytes, Numbered] = {}
        for digest, group in zip(digests, groups, strict=True):
            if digest not in known:
                numbered = [numbers.of(text) for text in group]
                lengths = np.asarray([len(words) for words in numbered], np.int64)
                fresh[digest] = known[digest] = Numbered(np.concatenate(numbered), lengths)
        self.put(
            (digest, np.concatenate([[len(texts.lengths)], texts.lengths, texts.words]).astype(np.uint32).tobytes())
            for digest, texts in fresh.items()
        )
        return [known[digest] for digest in digests]


def _unpacked(value: bytes) -> Numbered:
    stored = np.frombuffer(value, np.uint32)
    first = 1 + int(stored[0])
    return Numbered(stored[first:], stored[1:first].astype(np.int64))


def _digest(group: Sequence[str]) -> bytes:
    """Lengths stand before what they measure, so no two groups give the same bytes."""
    document = "".join(f"{len(text)}\0{text}" for text in group)
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).digest()


@step("mixture/leak-guard", VERSION)
def leak_guard(
    run: StepRun,
    items: Artifact,
    table: Artifact,
    chunks: Artifact,
    dialogues: Artifact,
    params: LeakParams,
    train_held_out: HeldOut = HeldOut.NOTHING,
    replay: Artifact | None = None,
    runner: RunnerParams = LOCAL,
) -> None:
    """Writes the items that may be asked, and `hits.jsonl`.

    A verdict says why an item may not: `leak-<rule>`, the twin of a pair leaked (`pair-leaked`), or the table's sample
    left its document out (`not-trained`).

    Raises:
        LeakError: an item leaked and `policy` is `fail`, or the split is broken.
    """
    asked = list(run.read(items, Item))
    sides = Sides()
    listed: dict[str, list[Hit]] = {}
    counts: Counter[str] = Counter()
    against = Against(items, table, params)
    total = sum(records.counts.get("records", 0) for records in (chunks, dialogues, replay) if records)
    done = 0
    for records, is_allowed, look in (
        (chunks, train_held_out is not HeldOut.NOTHING, look_through_chunks),
        (dialogues, train_held_out is HeldOut.ALL, look_through_dialogues),
        (replay, train_held_out is HeldOut.ALL, look_through_dialogues),
    ):
        shards = shards_of(run.store, records, size=runner.shard_bytes) if records else ()
        for looked in mapped(partial(look, against), shards, runner):
            for document_id, split, is_trained in looked.documents:
                sides.note(document_id, split, is_trained, is_allowed)
            for hit in looked.hits:
                listed.setdefault(hit.item_id, []).append(hit)
            counts.update(looked.found)
            done += looked.records
            run.progress(done, total, "texts")
    if listed and params.policy is LeakPolicy.FAIL:
        first = next(iter(listed.values()))[0]
        raise LeakError(
            f"{len(listed)} of {len(asked)} evaluation items are in the training table, such as {first.item_id} in "
            f"{first.part_id}; set dataset.leaks.policy to drop, or take the text out of the sources"
        )
    broken = {item.pair_id for item in asked if item.pair_id and item.id in listed}
    kept = []
    for item in asked:
        if item.id in listed:
            first = listed[item.id][0]
            run.verdict(item.id, f"leak-{first.rule}", f"{first.part_id}; {counts[item.id]} training texts in all")
        elif item.pair_id in broken:
            run.verdict(item.id, "pair-leaked", str(item.pair_id))
        elif sides.is_left_out(item.document_id):
            run.verdict(item.id, "not-trained", item.document_id)
        else:
            kept.append(item)
    run.write((hit for _, hits in sorted(listed.items()) for hit in hits[:HITS_PER_ITEM]), HITS)
    run.write(kept)
    run.count("leaks", len(listed))
