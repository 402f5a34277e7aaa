"""Hand labels: how far a judge is to be trusted.

A label is a person's grade of one answer to one question. The answer stands in the label, so the judge is shown the
very text that the person saw, and a file of labels holds for every arm, adapter and month that asks the question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from tasks.base.errors import InputError
from tasks.base.records import Answer, Item
from tasks.figures.statistics import cohens_kappa

SHEET_LINES: Final = 100
"""Answers of an arm that are offered for labelling; 50 to 100 labels are enough for a kappa within about 0.1."""


class Grade(StrEnum):
    """What the judge, or a person, may say of an answer."""

    CORRECT = "correct"
    PARTIAL = "partial"
    WRONG = "wrong"
    ABSTAIN = "abstain"


class Label(BaseModel):
    """A line of a file of labels; other keys, as in a label sheet, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    """Of the item."""
    answer: str
    """The text that was graded."""
    grade: Grade | None
    """Null = not graded yet."""


def read_labels(path: Path) -> list[Label]:
    """Graded lines of a file of JSON lines `{"id": item id, "answer": …, "grade": …}`, in its order.

    Raises:
        InputError: the file cannot be read or a line is no label.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"evaluation.judge.labels: {path.name} cannot be read ({error.strerror})") from error
    labels = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            labels.append(Label.model_validate_json(line))
        except ValueError as error:
            raise InputError(
                f"evaluation.judge.labels: line {number} of {path.name} is not "
                f'{{"id": item id, "answer": …, "grade": one of {", ".join(Grade)} or null}}'
            ) from error
    return [label for label in labels if label.grade is not None]


def agreement(grades: Sequence[Grade], others: Sequence[Grade]) -> dict[str, Any]:
    """How the judge's grades of answers agree with another's (hand labels, coverage of points), in the same order.

    Returns:
        `items`, `agreement` (share; null without grades), Cohen's `kappa` (null without grades or if both always say
        the same one thing).
    """
    ours, theirs = [grade.value for grade in grades], [grade.value for grade in others]
    alike = sum(one == other for one, other in zip(ours, theirs, strict=True)) / len(ours) if ours else None
    return {"items": len(ours), "agreement": alike, "kappa": cohens_kappa(ours, theirs)}


def label_sheet(asked: Iterable[tuple[Item, Answer]]) -> str:
    """JSON lines for a person to fill in: `SHEET_LINES` answers in hash order, without the judge's grades, which would
    lead the person.
    """
    ordered = sorted(asked, key=lambda pair: hashlib.sha256(pair[0].id.encode()).hexdigest())[:SHEET_LINES]
    return "".join(
        json.dumps(
            {
                "id": item.id,
                "question": item.question,
                "reference": item.answers[0],
                "answer": answer.text,
                "grade": None,
            }
        )
        + "\n"
        for item, answer in ordered
    )
