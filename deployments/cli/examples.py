"""What a finished run shows of its answers: a few questions, what base and tuned model say, and the lines that prove
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from rich.markup import escape

from deployments import console
from deployments.cli.showing import plain
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport
from tasks.base.records import Answer, Document, Item
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.evaluation.params import Suite
from tasks.evaluation.scoring import Score

SHOWN: Final = 3
LINES: Final = 4
"""Of the source, from where the answer rests on."""
CHARACTERS: Final = 160
"""Of an answer or a line."""


class Example(NamedTuple):
    """One question with both answers and its source."""

    item: Item
    answers: Mapping[str, str]
    """Arm → answer."""
    place: str
    """`path:line @ commit`."""
    lines: tuple[str, ...]


def print_examples(store: Store, report: RunReport) -> None:
    """Prints up to three questions about trained text, of kinds that differ, the best answered first."""
    found = list(examples(store, report))
    if found:
        console.output.print("\nThe largest gains", highlight=False)
    for example in found:
        console.output.print(f"[bold]{_shown(example.item.question)}[/]", highlight=False)
        for arm, answer in example.answers.items():
            console.output.print(f"  {arm:<7}{_shown(answer) or '(nothing)'}", highlight=False)
        console.output.print(f"  [dim]{_shown(example.place)}[/]", highlight=False)
        for line in example.lines:
            console.output.print(f"  [dim]│ {_shown(line)}[/]", highlight=False)


def examples(store: Store, report: RunReport) -> Iterator[Example]:
    """The questions that `print_examples` prints; none where the run asked none of trained text."""
    made = {one.step: Artifact(step=one.step, version="", **one.artifact) for one in report.steps if one.artifact}
    arms = {arm: made.get(f"evaluation/answer-{arm}") for arm in ("base", "tuned")}
    findings, guarded, split = (made.get(name) for name in ("evaluation/report", "mixture/leak-guard", "corpus/split"))
    if findings is None or guarded is None or split is None:
        return
    items = {item.id: item for item in read_records(store, guarded, Item) if item.suite == Suite.RECALL}
    scores: dict[str, dict[str, float]] = {}
    for one in read_records(store, findings, Score, "scores.jsonl"):
        if one.item_id in items:
            scores.setdefault(one.item_id, {})[one.arm] = one.score
    chosen = best((items[name], found) for name, found in scores.items() if {"base", "tuned"} <= found.keys())
    wanted = {item.id for item in chosen}
    answers = {
        arm: {one.item_id: one.text for one in read_records(store, artifact, Answer) if one.item_id in wanted}
        for arm, artifact in arms.items()
        if artifact is not None
    }
    sources = _documents(store, split, {item.document_id for item in chosen})
    for item in chosen:
        source = sources[item.document_id]
        first, last = item.span
        lines = source.text.split("\n")[first - 1 : min(last, first + LINES - 1)]
        place = f"{source.path}:{first} @ {source.revision[:7]}"
        yield Example(item, {arm: found[item.id] for arm, found in answers.items()}, place, tuple(lines))


def best(scored: Iterable[tuple[Item, Mapping[str, float]]]) -> list[Item]:
    """Up to `SHOWN` items, the largest gains of the tuned model over base and guess first, kinds taking turns."""
    ranked = sorted(
        scored, key=lambda pair: (max(pair[1]["base"], pair[1].get("guess", 0.0)) - pair[1]["tuned"], pair[0].id)
    )
    chosen: list[Item] = []
    for is_new_kind in (True, False):
        for item, _ in ranked:
            kinds = {one.kind for one in chosen}
            if len(chosen) < SHOWN and item not in chosen and (item.kind not in kinds or not is_new_kind):
                chosen.append(item)
    return chosen


def _documents(store: Store, split: Artifact, wanted: set[str]) -> dict[str, Document]:
    found: dict[str, Document] = {}
    with store.open(split, "train.jsonl") as reader:
        for line in reader:
            record = json.loads(line)
            if record["id"] in wanted:
                found[record["id"]] = Document.model_validate(record)
    return found


def _shown(text: str) -> str:
    one = plain(" ".join(text.split()) if "\n" in text.strip() else text.rstrip().expandtabs(4))
    return escape(one if len(one) <= CHARACTERS else f"{one[:CHARACTERS]} …")
