"""Whether an arm with retrieval was shown and cites the right passage: the one that the answer rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Answer, Item, Record
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.evaluation.statistics import figure
from tasks.figures.statistics import clustered_share
from tasks.retrieval.citations import cited
from tasks.retrieval.passages import Passage

SHOWN: Final = "shown.jsonl"
"""Content file of an arm's answers."""


class Shown(Record):
    """What an arm was shown for one question, in order."""

    item_id: str
    places: tuple[str, ...]
    """`<document id>:<first line>-<last line>`."""
    cited: tuple[int, ...]
    """Which of them the answer cites, from 0."""
    holding: tuple[int, ...]
    """Which of them have the first line of what the right answer rests on."""


def holds(passage: Passage, item: Item) -> bool:
    """Whether a passage has the first line of what the item's answer rests on."""
    return passage.document_id == item.document_id and passage.span[0] <= item.span[0] <= passage.span[1]


def shown(item: Item, answer: Answer, found: Sequence[Passage]) -> Shown:
    """What was shown for an item, and what its answer cites of it."""
    return Shown(
        item_id=item.id,
        places=tuple(f"{one.document_id}:{one.span[0]}-{one.span[1]}" for one in found),
        cited=tuple(cited(item.question, answer.text, found)),
        holding=tuple(number for number, one in enumerate(found) if holds(one, item)),
    )


def shown_by(store: Store, answers: Artifact) -> Iterator[Shown]:
    """What an arm was shown; nothing for one that was asked closed book."""
    if (store.blob(answers.sha256) / SHOWN).exists():
        yield from read_records(store, answers, Shown, SHOWN)


def citation_figures(rows: Iterable[Shown], items: Mapping[str, Item], confidence: float) -> dict[str, Any] | None:
    """How often the right passage was shown, and how often a passage that was cited is the right one.

    Args:
        rows: of one arm.
        items: by id; those that have no answer are left out.
        confidence: coverage of the intervals.

    Returns:
        `answers`, `shown` and `precision`, the two as in `statistics.figure`; null where nothing was asked or cited.
        Precision is over the answers that cite something; `answers` counts all.
    """
    asked = [row for row in rows if items[row.item_id].answerable]
    if not asked:
        return None
    citing = [row for row in asked if row.cited]
    right = [float(len(set(row.cited) & set(row.holding)) / len(row.cited)) for row in citing]
    return {
        "answers": len(asked),
        "shown": _share([float(bool(row.holding)) for row in asked], asked, items, confidence),
        "precision": _share(right, citing, items, confidence) if citing else None,
    }


def _share(
    values: Sequence[float], rows: Sequence[Shown], items: Mapping[str, Item], confidence: float
) -> dict[str, Any]:
    share = clustered_share(values, [items[row.item_id].document_id for row in rows], confidence)
    return figure(share)
