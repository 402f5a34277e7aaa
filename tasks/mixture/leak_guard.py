"""No evaluation question may stand in the training table together with its answer: checked before anything is spent on
training.

The rule is per suite. For most a leak is question and answer in one training text. For suites whose answers are in the
raw text on purpose (code recall) only the prompts of training dialogues are looked at. The split is checked too:
nothing of a held-out document may be in the table unless the parameters say so, and a document is on one side only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tasks.base.errors import LeakError
from tasks.base.records import Chunk, Dialogue, Item, Record, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact
from tasks.mixture.leaks import WORD, Match, QuestionIndex, fold, words
from tasks.mixture.params import HeldOut, LeakParams, LeakPolicy
from tasks.mixture.rows import ROWS, Row

VERSION = "2026.11.24"

HITS: Final = "hits.jsonl"
HITS_PER_ITEM: Final = 3
"""Training texts listed for an item; all are counted."""
SEAM_CHARACTERS: Final = 2_000
"""End of the chunk before that is read together with a chunk, so that a cut between question and answer hides nothing.
"""
BATCH_CHARACTERS: Final = 1_000_000
"""Training text that is looked through together."""
PROGRESS_TEXTS: Final = 1_000
"""Training texts between two reports of progress."""
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


def trained_texts(
    chunks: Iterable[Chunk], dialogues: Iterable[Dialogue], trained: set[str], policy: HeldOut, sides: Sides
) -> Iterator[TrainingText]:
    """The text of every chunk and dialogue that the table holds, once, while `sides` learns which documents those are.

    Args:
        chunks: all, sorted by id.
        dialogues: all of the sources', and those of a replay stream.
        trained: ids of what the table holds.
        policy: what of held-out documents may be trained on.
        sides: filled on the way.

    Raises:
        LeakError: see `Sides.note`.
    """
    before = None
    for chunk in chunks:
        is_trained = chunk.id in trained
        sides.note(chunk.document_id, chunk.split, is_trained, policy is not HeldOut.NOTHING)
        if is_trained:
            seam = before.text[-SEAM_CHARACTERS:] if before and before.document_id == chunk.document_id else ""
            yield TrainingText(chunk.id, chunk.header + seam + chunk.text, "")
            before = chunk
    for dialogue in dialogues:
        is_trained = dialogue.id in trained
        sides.note(dialogue.provenance.document_id, dialogue.split, is_trained, policy is HeldOut.ALL)
        if is_trained:
            text = "\n".join(message.content for message in dialogue.messages)
            prompts = "\n".join(message.content for message in dialogue.messages if message.role == "user")
            yield TrainingText(dialogue.id, text, prompts)


def find_hits(items: Iterable[Item], texts: Iterable[TrainingText], params: LeakParams) -> Iterator[Hit]:
    """Every leak; of one item in the order of the texts."""
    by_rule: dict[bool, list[Item]] = {True: [], False: []}
    for item in items:
        by_rule[item.suite in params.leak_prompt_suites].append(item)
    indexes = {
        prompts_only: QuestionIndex(found, params.leak_overlap, params.leak_jaccard)
        for prompts_only, found in by_rule.items()
        if found
    }
    for batch in _batches(texts):
        for prompts_only, index in indexes.items():
            where = [text.prompts if prompts_only else text.text for text in batch]
            for number, match in index.search([words(text) for text in where], need_answer=not prompts_only):
                yield _hit(by_rule[prompts_only][match.item], batch[number].part_id, where[number], match)


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


def _watched(run: StepRun, texts: Iterable[TrainingText], total: int) -> Iterator[TrainingText]:
    for number, text in enumerate(texts, 1):
        if number % PROGRESS_TEXTS == 0 or number == total:
            run.progress(number, total, "texts")
        yield text


@step("mixture/leak-guard", VERSION)
def leak_guard(
    run: StepRun,
    items: Artifact,
    table: Artifact,
    chunks: Artifact,
    dialogues: Artifact,
    params: LeakParams,
    replay: Artifact | None = None,
) -> None:
    """Writes the items that may be asked, and `hits.jsonl`. A verdict says why an item may not: `leak-<rule>`, the
    twin of a pair leaked (`pair-leaked`), or the table's sample left its document out (`not-trained`).

    Raises:
        LeakError: an item leaked and `leak_policy` is `fail`, or the split is broken.
    """
    asked = list(run.read(items, Item))
    trained = {part.id for row in run.read(table, Row, ROWS) for part in row.parts}
    talk = [run.read(artifact, Dialogue) for artifact in (dialogues, replay) if artifact]
    sides = Sides()
    texts = trained_texts(
        run.read(chunks, Chunk), (one for some in talk for one in some), trained, params.train_held_out, sides
    )
    listed: dict[str, list[Hit]] = {}
    found: Counter[str] = Counter()
    for hit in find_hits(asked, _watched(run, texts, len(trained)), params):
        found[hit.item_id] += 1
        if found[hit.item_id] <= HITS_PER_ITEM:
            listed.setdefault(hit.item_id, []).append(hit)
    if listed and params.leak_policy is LeakPolicy.FAIL:
        first = next(iter(listed.values()))[0]
        raise LeakError(
            f"{len(listed)} of {len(asked)} evaluation items are in the training table, such as {first.item_id} in "
            f"{first.part_id}; set dataset.leak_policy to drop, or take the text out of the sources"
        )
    broken = {item.pair_id for item in asked if item.pair_id and item.id in listed}
    kept = []
    for item in asked:
        if item.id in listed:
            first = listed[item.id][0]
            run.verdict(item.id, f"leak-{first.rule}", f"{first.part_id}; {found[item.id]} training texts in all")
        elif item.pair_id in broken:
            run.verdict(item.id, "pair-leaked", str(item.pair_id))
        elif sides.is_left_out(item.document_id):
            run.verdict(item.id, "not-trained", item.document_id)
        else:
            kept.append(item)
    run.write((hit for _, hits in sorted(listed.items()) for hit in hits), HITS)
    run.write(kept)
    run.count("leaks", len(listed))
