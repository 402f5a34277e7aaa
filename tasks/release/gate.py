"""The gate: may this adapter be published?

Reads the report's figures, computes none, and compares them with the declared bounds. Its answer is data:
decision.json, with one reason per check, `counts["allowed"]` 0 or 1, and report.html, the report's page with it on top.
A check whose figure is missing is a failed check: what was not measured is not published. Bounds hold for the cautious
end of the 95% interval (`judge: interval`), so few questions make a release harder, not easier; `measures.shortfalls`
says before a run which bound its questions are too few for.

With `gate.approval: manual` a person has the last word. A run that belongs to a deployment is then suspended: its
process ends, the Prefect UI shows the form, and an answer makes the run start again, with everything before this point
from the cache. A run without a deployment (a laptop's) waits in place. If nobody answers in time the run fails, and
nothing is published.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.batching import by_size
from tasks.base.errors import ReleaseError
from tasks.base.records import Chunk, Dialogue
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.figures.page import DECISION_SLOT, render
from tasks.figures.statistics import MIN_CLUSTERS, MIN_ITEMS
from tasks.release.measures import FORGETTING, RECALL, Figure, Measures, read_measures
from tasks.release.params import GateParams
from tasks.text.secrets import find_secrets

VERSION = "2026.11.30.1"

HELD_OUT = "answers_held_out"
PAGE: Final = "report.html"
TEMPLATE: Final = Path(__file__).with_name("decision.html.jinja")
BATCH_CHARACTERS: Final = 1_000_000
APPROVAL_KEY = "release-approval"
"""Names the question, so that a run that starts again finds its answer instead of asking again."""


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
    parameter: str
    """What decides the bound, as it stands in a preset."""
    detail: str
    """The same for a person, in one line, the parameter included."""


class Decision(BaseModel):
    """The gate's answer, as in decision.json."""

    model_config = ConfigDict(frozen=True)

    decision: Literal["allow", "refuse"]
    reasons: tuple[str, ...]
    """Details of the failed checks of a refusal, of all checks of a permission."""
    checks: tuple[Check, ...]


def decide(measures: Measures, params: GateParams, secrets: int = 0, exceeded: Sequence[str] = ()) -> Decision:
    """Compares figures with bounds; pure.

    Args:
        measures: the report's figures.
        params: the bounds.
        secrets: unredacted secrets found in training text; one is too many.
        exceeded: stated budgets that were not kept, a line each; one is too many.
    """
    checks = [
        *_recall_gain(measures, params),
        *_forgetting(measures, params),
        *_held_out_loss(measures, params),
        *_regression(measures, params),
        *_leaks(measures, params),
        Check(
            name="secrets",
            passed=secrets == 0,
            measured=secrets,
            bound=0,
            parameter="dataset.redact",
            detail=f"{secrets} unredacted secrets found",
        ),
        Check(
            name="budget",
            passed=not exceeded,
            measured=len(exceeded),
            bound=0,
            parameter="synthesis.budget_usd, training.max_usd",
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
    if not params.asks_for_recall:
        return []
    figure, bound = measures.differences.get(RECALL), params.min_recall_gain or 0.0
    return [_at_least("recall-gain", "gate.min_recall_gain", "recall gain over the base model", figure, bound, params)]


def _forgetting(measures: Measures, params: GateParams) -> list[Check]:
    if not params.asks_for_memory:
        return []
    figure, bound = measures.differences.get(FORGETTING), -(params.max_forgetting or 0.0)
    return [_at_least("forgetting", "gate.max_forgetting", "change in general ability", figure, bound, params)]


def _held_out_loss(measures: Measures, params: GateParams) -> list[Check]:
    if params.max_held_out_loss_increase is None:
        return []
    change, bound = measures.loss_change(HELD_OUT), params.max_held_out_loss_increase
    figure = "not measured" if change is None else f"{change:+.4f} nats per token"
    return [
        Check(
            name="held-out-loss",
            passed=change is not None and change <= bound,
            measured=change,
            bound=bound,
            parameter="gate.max_held_out_loss_increase",
            detail=f"held-out answer loss against the base model: {figure}, at most {bound:+.4f} allowed "
            "(gate.max_held_out_loss_increase)",
        )
    ]


def _regression(measures: Measures, params: GateParams) -> list[Check]:
    """Refuses what is measurably worse than the released model.

    Here the interval's other end counts: the new model has already been shown to be better than its base, and a bound
    on the cautious end would stop every month's run whose questions are too few to prove that two equal models are
    equal. A release that was asked nothing of what this one was asked, say of other sources under the same name, stops
    nothing either, but the decision says so.
    """
    change = measures.change
    if params.max_regression is None or measures.released is None:
        return []
    bound, parameter = -params.max_regression, "gate.max_regression"
    label = "recall against the released model"
    if change is None:
        detail = f"{label}: not compared, no question was asked of both"
        return [Check(name="regression", passed=True, measured=None, bound=bound, parameter=parameter, detail=detail)]
    best = change.high if params.judge == "interval" else change.estimate
    passed = best is None or best >= bound
    detail = f"{label}: {change.text}, not below {bound:+.2f} ({parameter})"
    return [Check(name="regression", passed=passed, measured=best, bound=bound, parameter=parameter, detail=detail)]


def _leaks(measures: Measures, params: GateParams) -> list[Check]:
    if params.max_leaks is None:
        return []
    figure = "not counted" if measures.leaks is None else str(measures.leaks)
    return [
        Check(
            name="leaks",
            passed=measures.leaks is not None and measures.leaks <= params.max_leaks,
            measured=measures.leaks,
            bound=params.max_leaks,
            parameter="gate.max_leaks",
            detail=f"evaluation questions found in the training set: {figure}, at most {params.max_leaks} allowed "
            "(gate.max_leaks)",
        )
    ]


def _at_least(name: str, parameter: str, label: str, figure: Figure | None, bound: float, params: GateParams) -> Check:
    measured = None
    if figure is None:
        said = "not measured"
    elif params.judge == "point":
        measured, said = figure.estimate, figure.text
    elif not figure.decides:
        asked = "an unknown number of" if figure.items is None else str(figure.items)
        of = "" if figure.documents is None else f" of {figure.documents} documents"
        said = (
            f"{figure.text} by {asked} questions{of}, which decide nothing "
            f"({MIN_ITEMS} of {MIN_CLUSTERS} documents are needed)"
        )
    else:
        measured, said = figure.low, f"{figure.text} by {figure.items} questions"
        said += " (the questions give no interval)" if measured is None else ""
    return Check(
        name=name,
        passed=measured is not None and measured >= bound,
        measured=measured,
        bound=bound,
        parameter=parameter,
        detail=f"{label}: {said}, {bound:+.2f} needed ({parameter})",
    )


@step("release/gate", VERSION)
def gate(
    run: StepRun,
    report: Artifact,
    params: GateParams,
    chunks: Artifact | None = None,
    dialogues: Artifact | None = None,
    exceeded: tuple[str, ...] = (),
) -> None:
    """Decides from the evaluation's report.

    Args:
        run: this step's run.
        report: the evaluation.
        params: the bounds.
        chunks: raw training text, to be searched for secrets.
        dialogues: training dialogues, to be searched for secrets.
        exceeded: stated budgets that were not kept (`costs.py`). Part of the key, so that a raised budget is looked at.
    """
    texts = itertools.chain(
        (chunk.text for chunk in run.read(chunks, Chunk)) if chunks else (),
        (message.content for one in run.read(dialogues, Dialogue) for message in one.messages) if dialogues else (),
    )
    measures = read_measures(read_json(run.store, report, "summary.json"))
    decision = decide(measures, params, count_secrets(texts), exceeded)
    run.path("decision.json").write_text(json.dumps(_document(decision), indent=1, ensure_ascii=False) + "\n", "utf-8")
    page = (run.checkout(report) / PAGE).read_text("utf-8")
    run.path(PAGE).write_text(with_decision(page, _document(decision)), "utf-8")
    run.count("allowed", int(decision.decision == "allow"))
    for check in decision.checks:
        run.count("passed" if check.passed else "failed")


def _document(decision: Decision) -> dict[str, Any]:
    return decision.model_dump(mode="json")


def with_decision(page: str, decision: dict[str, Any]) -> str:
    """The page with the decision in the slot that it left for it.

    Args:
        page: HTML of the evaluation's report.
        decision: content of decision.json.

    Raises:
        ReleaseError: the page has no such slot, or several.
    """
    if page.count(DECISION_SLOT) != 1:
        raise ReleaseError("the evaluation's page has no place for the gate's decision; make the report again")
    return page.replace(DECISION_SLOT, render(TEMPLATE, **decision).strip())


class Approval(RunInput):
    """Shall this model be published? The gate allowed it; its reasons are in the form's description."""

    verdict: Literal["approve", "reject"]
    """Publish it, or end the run without publishing."""
    comment: str = ""
    """Why; kept with the run."""


def ask_approval(decision: Decision, params: GateParams) -> Approval:
    """Asks the person and returns the answer; to be called inside a flow, outside tasks.

    Args:
        decision: the gate's, whose reasons the form shows.
        params: how long to wait.

    Raises:
        ReleaseError: nobody answered within `approval_hours` where the run waited in place; a suspended one is then
            ended by the server.
    """
    question = Approval.with_initial_data(description="\n".join(f"- {reason}" for reason in decision.reasons))
    seconds = round(params.approval_hours * 3600)
    if deployment.id:
        return suspend_flow_run(wait_for_input=question, timeout=seconds, key=APPROVAL_KEY)
    try:
        return pause_flow_run(wait_for_input=question, timeout=seconds, poll_interval=2, key=APPROVAL_KEY)
    except FlowPauseTimeout as error:
        raise ReleaseError(
            f"gate.approval: nobody answered within {params.approval_hours:g} hours; nothing was published; run "
            "again to be asked again"
        ) from error


def refusal_of(answer: Approval) -> tuple[str, ...]:
    """The gate's reasons after a person's answer: none if approved."""
    if answer.verdict == "approve":
        return ()
    return (f"a person rejected the release{': ' + answer.comment if answer.comment else ''}",)
