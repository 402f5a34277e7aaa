"""A person's word before anything is published (`gate.approval: manual`).

A run that belongs to a deployment is suspended: its process ends, the Prefect UI shows the form, and whoever answers
makes the run start again, where everything before this point comes from the cache. A run without a deployment (a
laptop's) waits in place. Nobody answering in time fails the run, and nothing is published.
"""

from __future__ import annotations

from typing import Literal

from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment

from tasks.base.errors import ReleaseError
from tasks.release.gate import Decision
from tasks.release.params import GateParams

KEY = "release-approval"
"""Names the question, so that a run that starts again finds its answer instead of asking again."""


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
        return suspend_flow_run(wait_for_input=question, timeout=seconds, key=KEY)
    try:
        return pause_flow_run(wait_for_input=question, timeout=seconds, poll_interval=2, key=KEY)
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
