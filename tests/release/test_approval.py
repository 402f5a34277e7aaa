"""A person's word before a release: asked in the flow, answered through Prefect's API."""

import threading
import time

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.flow_runs import resume_flow_run

from tasks.base.errors import ReleaseError
from tasks.release.gate import Approval, ask_approval, decide, refusal_of
from tasks.release.measures import read_measures
from tasks.release.params import GateParams
from tests.release.conftest import SUMMARY

PARAMS = GateParams(approval="manual", approval_hours=0.02)


@flow(name="asks-a-person")
def asking() -> Approval:
    """Asks."""
    return ask_approval(decide(read_measures(SUMMARY), PARAMS), PARAMS)


def answer_when_asked(run_input: dict[str, str]) -> None:
    """Resumes the first paused run of the flow."""
    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PAUSED"]}}})
    for _ in range(300):
        with get_client(sync_client=True) as client:
            waiting = client.read_flow_runs(flow_run_filter=wanted)
        if waiting:
            resume_flow_run(waiting[0].id, run_input=run_input)
            return
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_approval_answer_of_a_person_reaches_the_flow(prefect_harness: None, verdict: str) -> None:
    person = threading.Thread(target=answer_when_asked, args=({"verdict": verdict, "comment": "read it"},))
    person.start()
    answer = asking()
    person.join()
    assert (answer.verdict, answer.comment) == (verdict, "read it")
    assert refusal_of(answer) == (() if verdict == "approve" else ("a person rejected the release: read it",))


@pytest.mark.slow
def test_approval_that_nobody_answers_is_one_line(prefect_harness: None) -> None:
    params = PARAMS.model_copy(update={"approval_hours": 0.0005})

    @flow(name="asks-nobody")
    def asking_nobody() -> Approval:
        return ask_approval(decide(read_measures(SUMMARY), params), params)

    with pytest.raises(ReleaseError, match=r"nobody answered within 0\.0005 hours; nothing was published"):
        asking_nobody()


def test_approval_form_shows_the_gates_reasons() -> None:
    decision = decide(read_measures(SUMMARY), PARAMS)
    schema = Approval.with_initial_data(description="\n".join(decision.reasons)).model_json_schema()
    assert schema["properties"]["verdict"]["enum"] == ["approve", "reject"]
