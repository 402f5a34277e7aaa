"""The gate: may this adapter be published?

Reads the evaluation's summary and compares it with the declared bounds. Its answer is data: decision.json with one
reason per check, `counts["allowed"]` 0 or 1. A check whose figure is missing is a failed check: what was not measured
is not published. Bounds hold for the cautious end of the 95% interval (`judge: interval`), so few questions make a
release harder, not easier.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.batching import by_size
from tasks.base.records import Chunk, Dialogue
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.release.measures import FORGETTING, Figure, Measures, change_since, read_measures
from tasks.release.params import GateParams
from tasks.text.secrets import find_secrets

VERSION = "2026.11.24.2"

RECALL = "recall"
HELD_OUT = "answers_held_out"

BATCH_CHARACTERS: Final = 1_000_000


class Check(BaseModel):
    """One bound and whether it held."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Machine-readable, stable: `recall-gain`, `forgetting`, `held-out-loss`, `regression`, `leaks`, `secrets`,
    `budget`."""
    passed: bool
    measured: float | None
    """The number that was compared; null if it was not measured."""
    bound: float
    detail: str
    """The same for a person, in one line."""


class Decision(BaseModel):
    """The gate's answer, as in decision.json."""

    model_config = ConfigDict(frozen=True)

    decision: Literal["allow", "refuse"]
    reasons: tuple[str, ...]
    """Details of the failed checks of a refusal, of all checks of a permission."""
    checks: tuple[Check, ...]


def decide(
    measures: Measures,
    params: GateParams,
    change: Figure | None = None,
    secrets: int = 0,
    exceeded: Sequence[str] = (),
    has_previous: bool = False,
) -> Decision:
    """Compares figures with bounds; pure.

    Args:
        measures: this run's figures.
        params: the bounds.
        change: recall against the last promoted release on the same questions; null if there is nothing to compare.
        secrets: unredacted secrets found in training text; one is too many.
        exceeded: stated budgets that were not kept, a line each; one is too many.
        has_previous: whether there is such a release, asked the same questions or not.
    """
    checks = [
        *_recall_gain(measures, params),
        *_forgetting(measures, params),
        *_held_out_loss(measures, params),
        *_regression(change, has_previous, params),
        *_leaks(measures, params),
        Check(
            name="secrets", passed=secrets == 0, measured=secrets, bound=0, detail=f"{secrets} unredacted secrets found"
        ),
        Check(
            name="budget",
            passed=not exceeded,
            measured=len(exceeded),
            bound=0,
            detail=f"budget exceeded: {'; '.join(exceeded)}" if exceeded else "budget kept",
        ),
    ]
    failed = [check for check in checks if not check.passed]
    return Decision(
        decision="refuse" if failed else "allow",
        reasons=tuple(check.detail for check in failed or checks),
        checks=tuple(checks),
    )


def count_secrets(texts: Iterable[str]) -> int:
    """Secrets that the redaction left in text, found by the scanner that redacts.

    Findings of low confidence (any long random word after `key`) are redacted too but refuse nothing: commit hashes
    and rendered headers, which come after the redaction, look like them.
    """
    joined = ("\n\n".join(portion) for portion in by_size(texts, len, BATCH_CHARACTERS))
    return sum(secret.confidence != "low" for text in joined for secret in find_secrets(text))


def _recall_gain(measures: Measures, params: GateParams) -> list[Check]:
    if params.min_recall_gain is None or params.min_recall_gain <= -1:  # -1 asks for nothing either
        return []
    figure = measures.differences.get(RECALL)
    return [_at_least("recall-gain", "recall gain over the base model", figure, params.min_recall_gain, params)]


def _forgetting(measures: Measures, params: GateParams) -> list[Check]:
    if params.max_forgetting is None or params.max_forgetting >= 1:
        return []
    figure = measures.differences.get(FORGETTING)
    return [_at_least("forgetting", "change in general ability", figure, -params.max_forgetting, params)]


def _held_out_loss(measures: Measures, params: GateParams) -> list[Check]:
    if params.max_held_out_loss_increase is None:
        return []
    change, bound = measures.loss_change(HELD_OUT), params.max_held_out_loss_increase
    found = "not measured" if change is None else f"{change:+.4f} nats per token"
    return [
        Check(
            name="held-out-loss",
            passed=change is not None and change <= bound,
            measured=change,
            bound=bound,
            detail=f"held-out answer loss against the base model: {found}, at most {bound:+.4f} allowed",
        )
    ]


def _regression(change: Figure | None, has_previous: bool, params: GateParams) -> list[Check]:
    """Refuses what is measurably worse than the released model.

    Here the interval's other end counts: the new model has already been shown to be better than its base, and a bound
    on the cautious end would stop every month's run whose questions are too few to prove that two equal models are
    equal. A release that was asked nothing of what this one was asked, say of other sources under the same name, stops
    nothing either, but the decision says so.
    """
    if params.max_regression is None or not (change or has_previous):
        return []
    bound = -params.max_regression
    label = "recall against the released model"
    if change is None:
        detail = f"{label}: not compared, no question was asked of both"
        return [Check(name="regression", passed=True, measured=None, bound=bound, detail=detail)]
    best = change.high if params.judge == "interval" else change.estimate
    passed = best is None or best >= bound
    detail = f"{label}: {change.text}, not below {bound:+.2f}"
    return [Check(name="regression", passed=passed, measured=best, bound=bound, detail=detail)]


def _leaks(measures: Measures, params: GateParams) -> list[Check]:
    if params.max_leaks is None:
        return []
    found = "not counted" if measures.leaks is None else str(measures.leaks)
    return [
        Check(
            name="leaks",
            passed=measures.leaks is not None and measures.leaks <= params.max_leaks,
            measured=measures.leaks,
            bound=params.max_leaks,
            detail=f"evaluation questions found in the training set: {found}, at most {params.max_leaks} allowed",
        )
    ]


def _at_least(name: str, label: str, figure: Figure | None, bound: float, params: GateParams) -> Check:
    if figure is None:
        return Check(
            name=name, passed=False, measured=None, bound=bound, detail=f"{label}: not measured, {bound:+.2f} needed"
        )
    measured = figure.low if params.judge == "interval" else figure.estimate
    missing = " (the questions give no interval)" if measured is None else ""
    return Check(
        name=name,
        passed=measured is not None and measured >= bound,
        measured=measured,
        bound=bound,
        detail=f"{label}: {figure.text}{missing}, {bound:+.2f} needed",
    )


@step("release/gate", VERSION)
def gate(
    run: StepRun,
    report: Artifact,
    params: GateParams,
    previous: Artifact | None = None,
    chunks: Artifact | None = None,
    dialogues: Artifact | None = None,
    exceeded: tuple[str, ...] = (),
) -> None:
    """Decides from the evaluation's report.

    Args:
        run: this step's run.
        report: the evaluation.
        params: the bounds.
        previous: the last promoted release whose adapter differs.
        chunks: raw training text, to be searched for secrets.
        dialogues: training dialogues, to be searched for secrets.
        exceeded: stated budgets that were not kept (`costs.py`). Part of the key, so that a raised budget is looked at.
    """
    change = None
    if previous is not None:
        change = change_since(_rows(run, report), _rows(run, previous))
    texts = itertools.chain(
        (chunk.text for chunk in run.read(chunks, Chunk)) if chunks else (),
        (message.content for one in run.read(dialogues, Dialogue) for message in one.messages) if dialogues else (),
    )
    measures = read_measures(read_json(run.store, report, "summary.json"))
    decision = decide(measures, params, change, count_secrets(texts), exceeded, has_previous=previous is not None)
    run.path("decision.json").write_text(json.dumps(_document(decision), indent=1, ensure_ascii=False) + "\n", "utf-8")
    run.count("allowed", int(decision.decision == "allow"))
    for check in decision.checks:
        run.count("passed" if check.passed else "failed")


def _rows(run: StepRun, artifact: Artifact) -> list[dict[str, Any]]:
    with run.store.open(artifact, "scores.jsonl") as reader:
        return [json.loads(line) for line in reader]


def _document(decision: Decision) -> dict[str, Any]:
    return decision.model_dump(mode="json")
