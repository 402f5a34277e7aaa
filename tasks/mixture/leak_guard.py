"""No evaluation question may stand in the training table together with its answer: checked before anything is spent on
training.

The rule is per suite. For most a leak is question and answer in one training text. For suites whose answers are in the
raw text on purpose (code recall) only the prompts of training dialogues are looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.base.errors import LeakError
from tasks.base.records import Chunk, Dialogue, Item, Record
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact
from tasks.mixture.leaks import Match, QuestionIndex, words
from tasks.mixture.params import LeakParams, LeakPolicy
from tasks.mixture.rows import ROWS, Row

VERSION = "2026.11.24"

HITS = "hits.jsonl"
HITS_PER_ITEM = 3
"""Training texts listed for an item; all are counted."""


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
    """The training text, cut to the passage and what stands around it."""


@dataclass(frozen=True)
class TrainingText:
    """A part of the table as text."""

    part_id: str
    text: str
    prompts: str
    """What the user says in it; empty for raw text."""


def trained_texts(run: StepRun, table: Artifact, chunks: Artifact, dialogues: Artifact) -> Iterator[TrainingText]:
    """Every chunk and dialogue that the table holds, once."""
    trained = {part.id for row in run.read(table, Row, ROWS) for part in row.parts}
    for chunk in run.read(chunks, Chunk):
        if chunk.id in trained:
            yield TrainingText(chunk.id, chunk.header + chunk.text, "")
    for dialogue in run.read(dialogues, Dialogue):
        if dialogue.id in trained:
            text = "\n".join(message.content for message in dialogue.messages)
            prompts = "\n".join(message.content for message in dialogue.messages if message.role == "user")
            yield TrainingText(dialogue.id, text, prompts)


def find_hits(items: list[Item], texts: Iterator[TrainingText], params: LeakParams) -> Iterator[Hit]:
    """Every leak, in the order of the texts."""
    prompt_only = [item for item in items if item.suite in params.leak_prompt_suites]
    others = [item for item in items if item.suite not in params.leak_prompt_suites]
    for_text = QuestionIndex(others, params.leak_overlap, params.leak_jaccard)
    for_prompts = QuestionIndex(prompt_only, params.leak_overlap, params.leak_jaccard)
    for text in texts:
        for match in for_text.search(words(text.text), need_answer=True):
            yield _hit(others[match.item], text, text.text, match)
        if text.prompts and prompt_only:
            for match in for_prompts.search(words(text.prompts), need_answer=False):
                yield _hit(prompt_only[match.item], text, text.prompts, match)


def _hit(item: Item, text: TrainingText, where: str, match: Match) -> Hit:
    return Hit(
        item_id=item.id,
        suite=item.suite,
        part_id=text.part_id,
        rule=match.rule,
        score=round(match.score, 4),
        question=item.question,
        answer=item.answers[0] if item.answers else "",
        passage=where[:2000],
    )


@step("mixture/leak-guard", VERSION)
def leak_guard(
    run: StepRun, items: Artifact, table: Artifact, chunks: Artifact, dialogues: Artifact, params: LeakParams
) -> None:
    """Writes the items that did not leak, `hits.jsonl` and a verdict per item that did.

    Raises:
        LeakError: an item leaked and `leak_policy` is `fail`.
    """
    asked = list(run.read(items, Item))
    found: dict[str, list[Hit]] = {}
    texts: Counter[str] = Counter()
    for hit in find_hits(asked, trained_texts(run, table, chunks, dialogues), params):
        texts[hit.item_id] += 1
        if texts[hit.item_id] <= HITS_PER_ITEM:
            found.setdefault(hit.item_id, []).append(hit)
    if found and params.leak_policy is LeakPolicy.FAIL:
        first = next(iter(found.values()))[0]
        raise LeakError(
            f"{len(found)} of {len(asked)} evaluation items are in the training table, such as {first.item_id} in "
            f"{first.part_id}; set dataset.leak_policy to drop, or take the text out of the sources"
        )
    for identifier, hits in sorted(found.items()):
        run.verdict(identifier, f"leak-{hits[0].rule}", f"{hits[0].part_id} and {texts[identifier] - 1} more")
    run.write((hit for _, hits in sorted(found.items()) for hit in hits), HITS)
    run.write(item for item in asked if item.id not in found)
    run.count("leaks", len(found))
