"""The questions that a run ends with, over artifacts as its steps leave them."""

from __future__ import annotations

import pytest

from deployments.cli.examples import SHOWN, best, examples, print_examples
from tasks.base.ledger import RunReport, StepOutcome
from tasks.base.records import Answer, Document, Item, Provenance
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.evaluation.scoring import Score

TEXT = "LIMIT = 4\n\n\ndef wait(seconds=2.5):\n    return seconds\n"


def item(kind: str, number: int, line: int = 1, suite: str = "recall") -> Item:
    source = Provenance(
        document_id="post/file/wait.py", revision="0123456789", span=(line, line), prompt_version="1", model="t"
    )
    return Item(
        id=f"{kind}-{number}", suite=suite, kind=kind, question=f"What is [bold]{kind}[/] {number}?", answers=("4",),
        document_id=source.document_id, span=source.span, answerable=True, pair_id=None, provenance=source,
    )  # fmt: skip


ITEMS = (item("value", 1), item("value", 2), item("default", 1, 4), item("caller", 1), item("value", 3, 1, "held-out"))
RIGHT = {"value-1": 1.0, "value-2": 1.0, "default-1": 1.0, "caller-1": 0.0, "value-3": 1.0}


@step("corpus/split", "tests")
def split(run: StepRun) -> None:
    run.write(
        [
            Document(
                id="post/file/wait.py", kind="file", repo="post", revision="0123456789", path="wait.py",
                title="wait.py", url=None, text=TEXT, created_at=None, updated_at=None,
            )
        ],
        "train.jsonl",
    )  # fmt: skip


@step("mixture/leak-guard", "tests")
def guarded(run: StepRun) -> None:
    run.write(sorted(ITEMS, key=lambda one: one.id))


@step("evaluation/answer", "tests")
def answers(run: StepRun, arm: str) -> None:
    run.write(Answer(item_id=one.id, text=f"{arm} says\x1b 4", tokens=3, finished=True) for one in ITEMS)


@step("evaluation/report", "tests")
def report(run: StepRun) -> None:
    scores = [score(one, arm, RIGHT[one.id] if arm == "tuned" else 0.0) for one in ITEMS for arm in ("base", "tuned")]
    run.write(sorted(scores, key=lambda one: one.id), "scores.jsonl")


def score(one: Item, arm: str, value: float) -> Score:
    return Score(
        id=f"{one.id}@{arm}", item_id=one.id, arm=arm, suite=one.suite, kind=one.kind, document_id=one.document_id,
        score=value, abstained=False, verbatim_words=0, identifier_f1=None, parses=None, tokens=3, finished=True,
    )  # fmt: skip


def finished(store: Store) -> RunReport:
    made = {
        "corpus/split": split.direct(store),
        "mixture/leak-guard": guarded.direct(store),
        "evaluation/answer-base": answers.direct(store, arm="base"),
        "evaluation/answer-tuned": answers.direct(store, arm="tuned"),
        "evaluation/report": report.direct(store),
    }
    steps = [
        StepOutcome(
            step=name, state="Completed", seconds=1, artifact=one.model_dump(include={"uri", "sha256", "counts"})
        )
        for name, one in made.items()
    ]
    return RunReport(run="r", steps=steps)


def test_examples_are_the_largest_gains_of_different_kinds_with_their_lines(store: Store):
    found = list(examples(store, finished(store)))
    assert [one.item.id for one in found] == ["default-1", "value-1", "caller-1"]
    assert found[0].place == "wait.py:4 @ 0123456"
    assert found[0].lines == ("def wait(seconds=2.5):",)
    assert set(found[0].answers) == {"base", "tuned"}


def test_kinds_come_again_where_there_are_too_few():
    scored = [(one, {"base": 0.0, "tuned": 1.0}) for one in ITEMS[:2]]
    assert [one.id for one in best(scored)] == ["value-1", "value-2"]
    assert len(best([(item("value", number), {"base": 0.0, "tuned": 1.0}) for number in range(9)])) == SHOWN


def test_what_a_model_or_a_source_wrote_is_shown_as_text(store: Store, capsys: pytest.CaptureFixture[str]):
    print_examples(store, finished(store))
    shown = capsys.readouterr().out
    assert "What is [bold]default[/] 1?" in shown
    assert "\x1b 4" not in shown
    print_examples(store, RunReport(run="nothing"))
    assert capsys.readouterr().out == ""
