"""The training table's texts held against the evaluation's questions, shard by shard, here or on a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from tasks.base.records import Chunk, Dialogue, Item, Record, Split
from tasks.base.runs import RECORDS
from tasks.base.shards import Shard
from tasks.base.store import Artifact
from tasks.mixture.leaks import WORD, Match, QuestionIndex, fold, words
from tasks.mixture.params import LeakParams
from tasks.mixture.rows import ROWS, Row

HITS_PER_ITEM: Final = 3
"""Training texts listed for an item; all are counted."""
SEAM_CHARACTERS: Final = 2_000
"""End of the chunk before that is read together with a chunk, so that a cut between question and answer hides nothing.
"""
BATCH_CHARACTERS: Final = 1_000_000
"""Training text that is looked through together."""
CONTEXT_CHARACTERS: Final = 200
"""Shown on either side of a passage."""


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


@dataclass(frozen=True)
class TrainingText:
    """A part of the table as text."""

    part_id: str
    text: str
    prompts: str
    """What the user says in it; empty for raw text."""


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
    chunks = list(shard.read(Chunk))
    noted = [(chunk.document_id, chunk.split, chunk.id in trained) for chunk in chunks]
    texts = []
    before = shard.preceding(Chunk)
    for chunk in chunks:
        if chunk.id in trained:
            joined = before and before.document_id == chunk.document_id and before.id in trained
            seam = before.text[-SEAM_CHARACTERS:] if before and joined else ""
            texts.append(TrainingText(chunk.id, chunk.header + seam + chunk.text, ""))
        before = chunk
    return _looked(against, shard, texts, noted)


def look_through_dialogues(against: Against, shard: Shard) -> Looked:
    """Holds a shard of dialogues against the questions."""
    trained = _trained(shard.store.checkout(against.table))
    dialogues = list(shard.read(Dialogue))
    texts = [
        TrainingText(
            dialogue.id,
            "\n".join(message.content for message in dialogue.messages),
            "\n".join(message.content for message in dialogue.messages if message.role == "user"),
        )
        for dialogue in dialogues
        if dialogue.id in trained
    ]
    noted = [(one.provenance.document_id, one.split, one.id in trained) for one in dialogues]
    return _looked(against, shard, texts, noted)


def _looked(against: Against, shard: Shard, texts: list[TrainingText], noted: list[tuple[str, Split, bool]]) -> Looked:
    found: Counter[str] = Counter()
    hits = []
    for hit in find_hits(_indexes(shard.store.checkout(against.items), against.params), texts):
        found[hit.item_id] += 1
        if found[hit.item_id] <= HITS_PER_ITEM:
            hits.append(hit)
    return Looked(len(noted), hits, found, list(dict.fromkeys(noted)))


Indexes = dict[bool, tuple[list[Item], QuestionIndex]]
"""Items and their index, by whether only prompts count."""


@lru_cache(maxsize=1)
def _indexes(items: Path, params: LeakParams) -> Indexes:
    """Made once per process, not once per shard."""
    by_rule: dict[bool, list[Item]] = {True: [], False: []}
    with (items / RECORDS).open("rb") as reader:
        for line in reader:
            item = Item.model_validate_json(line)
            by_rule[item.suite in params.leak_prompt_suites].append(item)
    return {
        prompts_only: (found, QuestionIndex(found, params.leak_overlap, params.leak_jaccard))
        for prompts_only, found in by_rule.items()
        if found
    }


@lru_cache(maxsize=1)
def _trained(table: Path) -> frozenset[str]:
    """Ids of the chunks and dialogues that the table holds."""
    with (table / ROWS).open("rb") as reader:
        return frozenset(part.id for line in reader for part in Row.model_validate_json(line).parts)


def find_hits(indexes: Indexes, texts: Iterable[TrainingText]) -> Iterator[Hit]:
    """Every leak; of one item in the order of the texts."""
    for batch in _batches(texts):
        for prompts_only, (items, index) in indexes.items():
            where = [text.prompts if prompts_only else text.text for text in batch]
            for number, match in index.search([words(text) for text in where], need_answer=not prompts_only):
                yield _hit(items[match.item], batch[number].part_id, where[number], match)


def _batches(texts: Iterable[TrainingText]) -> Iterator[list[TrainingText]]:
    batch: list[TrainingText] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text.text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _hit(item: Item, part_id: str, text: str, match: Match) -> Hit:
    folded = fold(text)
    shown = text if len(folded) == len(text) else folded
    spans = [found.span() for found in WORD.finditer(folded)]
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
