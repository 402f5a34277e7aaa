"""The gate: may this adapter be published?

Reads the evaluation's summary and compares it with the declared bounds. Its answer is data: decision.json with one
reason per check, `counts["allowed"]` 0 or 1. A check whose figure is missing is a failed check: what was not measured
is not published. Bounds hold for the cautious end of the 95% interval (`judge: interval`), so few questions make a
release harder, not easier.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Artifact
from tasks.release.measures import Figure, Measures, read_measures
from tasks.release.params import GateParams

VERSION = "2026.11.24"

RECALL = "recall"
FORGETTING = "forgetting"
HELD_OUT = "answers_held_out"


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
    measures: Measures, params: GateParams, previous: Measures | None = None, secrets: int = 0, budget_kept: bool = True
) -> Decision:
    """Compares figures with bounds; pure.

    Args:
        measures: this run's figures.
        params: the bounds.
        previous: figures of the last promoted release whose adapter differs, if there is one.
        secrets: unredacted secrets found in training or published text; one is too many.
        budget_kept: whether the run stayed within its stated budgets.
    """
    checks = [
        *_recall_gain(measures, params),
        *_forgetting(measures, params),
        *_held_out_loss(measures, params),
        *_regression(measures, params, previous),
        *_leaks(measures, params),
        Check(
            name="secrets", passed=secrets == 0, measured=secrets, bound=0, detail=f"{secrets} unredacted secrets found"
        ),
        Check(
            name="budget",
            passed=budget_kept,
            measured=float(budget_kept),
            bound=1,
            detail="budget kept" if budget_kept else "budget exceeded",
        ),
    ]
    failed = [check for check in checks if not check.passed]
    return Decision(
        decision="refuse" if failed else "allow",
        reasons=tuple(check.detail for check in failed or checks),
        checks=tuple(checks),
    )


def _recall_gain(measures: Measures, params: GateParams) -> list[Check]:
    if params.min_recall_gain is None:
        return []
    figure = measures.differences.get(RECALL)
    return [_at_least("recall-gain", "recall gain over the base model", figure, params.min_recall_gain, params)]


def _forgetting(measures: Measures, params: GateParams) -> list[Check]:
    if params.max_forgetting is None:
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


def _regression(measures: Measures, params: GateParams, previous: Measures | None) -> list[Check]:
    """Against the released adapter on the same items where it was answered as an arm, else against its own
    published figures.
    """
    if params.max_regression is None:
        return []
    if RECALL in measures.regressions:
        figure = measures.regressions[RECALL]
        return [_at_least("regression", "recall against the released model", figure, -params.max_regression, params)]
    if previous is None:
        return []
    ours, theirs = (found.scores.get(RECALL, {}).get("tuned") for found in (measures, previous))
    if theirs is None:
        return []
    difference = None if ours is None else Figure(estimate=ours.estimate - theirs.estimate)
    return [
        _at_least(
            "regression",
            "recall against the released model's own questions",
            difference,
            -params.max_regression,
            params,
        )
    ]


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
    measured = figure.low if params.judge == "interval" and figure.low is not None else figure.estimate
    return Check(
        name=name,
        passed=measured >= bound,
        measured=measured,
        bound=bound,
        detail=f"{label}: {figure.text}, {bound:+.2f} needed",
    )


@step("release/gate", VERSION)
def gate(
    run: StepRun, report: Artifact, params: GateParams, previous: Artifact | None = None, budget_kept: bool = True
) -> None:
    """Decides from the evaluation's report; `previous` is the last promoted release whose adapter differs."""
    before = None if previous is None else read_measures(read_json(run.store, previous, "summary.json"))
    measures = read_measures(read_json(run.store, report, "summary.json"))
    decision = decide(measures, params, before, budget_kept=budget_kept)
    run.path("decision.json").write_text(json.dumps(_document(decision), indent=1, ensure_ascii=False) + "\n", "utf-8")
    run.count("allowed", int(decision.decision == "allow"))
    for check in decision.checks:
        run.count("passed" if check.passed else "failed")


def _document(decision: Decision) -> dict[str, Any]:
    return decision.model_dump(mode="json")
