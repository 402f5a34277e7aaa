"""Takes out questions whose answers are in the training table, before anything is spent on training.

The rule is per suite. For most a leak is question and answer in one training text. For suites whose answers are in the
raw text on purpose (code recall) only the prompts of training dialogues are looked at. The split is checked too:
nothing of a held-out document may be in the table unless the parameters say so, and a document is on one side only.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import LeakError
from tasks.base.records import Item, Split
from tasks.base.runs import StepRun
from tasks.base.shards import LOCAL, RunnerParams, mapped, shards_of
from tasks.base.steps import step
from tasks.mixture.leaks.passages import HITS_PER_ITEM, Against, Hit, look_through_chunks, look_through_dialogues
from tasks.mixture.params import HeldOut, LeakParams, LeakPolicy

VERSION = "2026.11.24.1"

HITS: Final = "hits.jsonl"


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
    """Writes the items that may be asked, and `hits.jsonl`. A verdict says why an item may not: `leak-<rule>`, the
    twin of a pair leaked (`pair-leaked`), or the table's sample left its document out (`not-trained`).

    Raises:
        LeakError: an item leaked and `policy` is `fail`, or the split is broken.
    """
    asked = list(run.read(items, Item))
    sides = Sides()
    listed: dict[str, list[Hit]] = {}
    found: Counter[str] = Counter()
    against = Against(items, table, params)
    total = sum(records.counts.get("records", 0) for records in (chunks, dialogues, replay) if records)
    done = 0
    for records, is_allowed, look in (
        (chunks, train_held_out is not HeldOut.NOTHING, look_through_chunks),
        (dialogues, train_held_out is HeldOut.ALL, look_through_dialogues),
        (replay, train_held_out is HeldOut.ALL, look_through_dialogues),
    ):
        for looked in mapped(partial(look, against), shards_of(run.store, records) if records else (), runner):
            for document_id, split, is_trained in looked.documents:
                sides.note(document_id, split, is_trained, is_allowed)
            for hit in looked.hits:
                listed.setdefault(hit.item_id, []).append(hit)
            found.update(looked.found)
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
            run.verdict(item.id, f"leak-{first.rule}", f"{first.part_id}; {found[item.id]} training texts in all")
        elif item.pair_id in broken:
            run.verdict(item.id, "pair-leaked", str(item.pair_id))
        elif sides.is_left_out(item.document_id):
            run.verdict(item.id, "not-trained", item.document_id)
        else:
            kept.append(item)
    run.write((hit for _, hits in sorted(listed.items()) for hit in hits[:HITS_PER_ITEM]), HITS)
    run.write(kept)
    run.count("leaks", len(listed))
