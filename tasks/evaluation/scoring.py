"""From an item and an answer to a score: which scorer judges which kind of question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tasks.base.records import Answer, Item, Record
from tasks.evaluation import scorers
from tasks.evaluation.abstention import abstains
from tasks.evaluation.params import Suite
from tasks.evaluation.scorers import Scorer

SCORERS: Final[dict[str, Scorer]] = {
    "location": scorers.path_match,
    "heading": scorers.path_match,
    "pull-file": scorers.path_match,
    "link": scorers.contains,
    "arguments": scorers.arguments_match,
    "purpose": scorers.token_f1,
    "pull-why": scorers.token_f1,
    "cloze": scorers.token_f1,
    "code": scorers.edit_similarity,
    "opening": scorers.edit_similarity,
    "known-fact": scorers.contains,
}
"""One scorer per kind; the report names it. 0/1 scorers are those of `BINARY`."""

BINARY: Final = frozenset({"location", "heading", "pull-file", "link", "arguments", "known-fact"})


class Score(Record):
    """What one arm's answer to one item is worth."""

    id: str
    """`<item id>@<arm>`."""
    item_id: str
    arm: str
    suite: str
    kind: str
    document_id: str
    score: float
    """Between 0 and 1."""
    abstained: bool
    verbatim_words: int
    """Longest run of words in common with the reference."""
    tokens: int
    finished: bool


def kind_of(item: Item) -> str:
    """The kind of question, from the item's prompt version (`<kind>/<version>`)."""
    return item.provenance.prompt_version.partition("/")[0]


def score(item: Item, text: str) -> float:
    """The score of an answer to an item.

    In the unanswerable suite what counts is abstention: 1 for declining what cannot be answered and for not
    declining what can. Always answering, and always declining, both score 0.5 on its pairs.
    """
    if item.suite == Suite.UNANSWERABLE:
        return float(abstains(text) != item.answerable)
    return SCORERS[kind_of(item)](text, item.answers)


def score_arm(arm: str, items: Sequence[Item], answers: Iterable[Answer]) -> list[Score]:
    """Scores of an arm, in the order of the items; an item that the arm did not answer has none."""
    by_item = {answer.item_id: answer for answer in answers}
    return [_scored(arm, item, by_item[item.id]) for item in items if item.id in by_item]


def _scored(arm: str, item: Item, answer: Answer) -> Score:
    return Score(
        id=f"{item.id}@{arm}",
        item_id=item.id,
        arm=arm,
        suite=item.suite,
        kind=kind_of(item),
        document_id=item.document_id,
        score=round(score(item, answer.text), 6),
        abstained=abstains(answer.text),
        verbatim_words=scorers.longest_verbatim_run(answer.text, item.answers[0]) if item.answers else 0,
        tokens=answer.tokens,
        finished=answer.finished,
    )
