"""A person's word in earnest: the deployed run is suspended, its process ends, and the answer makes it start again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.flow_runs import resume_flow_run
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from deployments.prefect.deploying import deployment
from deployments.prefect.pools import Pool, ensure_pool
from flows.params import RetrainParams
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tests.deployments.prefect_server import PrefectServer, process_worker
from tests.emulators.hub_api import Account, HubEmulator
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import make_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

REPO = "octocat/post-lora"
WAIT_SECONDS = 900


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubEmulator]:
    with HubEmulator({"write": Account("octocat")}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", "write")
        yield running


def await_state(run: UUID, *types: str) -> State[Any]:
    """The run's state once it is of one of these types; any other end is an error."""
    deadline = time.monotonic() + WAIT_SECONDS
    with get_client(sync_client=True) as client:
        while True:
            state = client.read_flow_run(run).state
            assert state is not None
            if state.type.value in types:
                return state
            assert not state.is_final(), state
            assert time.monotonic() < deadline, state
            time.sleep(0.5)


def start(params: RetrainParams) -> UUID:
    """Starts the deployment and waits until the run asks."""
    document = {"params": params.model_dump(mode="json")}
    run = run_deployment("retrain/approved", parameters=document, timeout=0, as_subflow=False)
    assert await_state(run.id, "PAUSED").name == "Suspended"
    return run.id


def report_of(store: Store, run: UUID) -> RunReport:
    return RunReport.model_validate_json((store.root / "ledger" / str(run) / "run.json").read_text("utf-8"))


def states(report: RunReport) -> set[str]:
    return {outcome.state for outcome in report.steps}


def test_suspended_run_is_rejected_approved_or_times_out(
    server: PrefectServer, emulator: HubEmulator, tiny_model: Path, tmp_path: Path
) -> None:
    document = tiny_params(make_repository(tmp_path / "post"), tiny_model, tmp_path / "store").model_dump(mode="json")
    document["gate"] |= {"approval": "manual", "approval_hours": 1}
    document["release"] |= {"repo_id": REPO}
    document["sources"][0]["as_of"] = None
    params = RetrainParams.model_validate(document)
    store = Store(params.store)
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}):
        with get_client(sync_client=True) as client:
            ensure_pool(client, Pool("approval", "process", "drill", 1))
        deployment("flows.retrain.retrain", name="approved").apply(work_pool_name="approval")
        with process_worker(server, "approval"):
            rejected = start(params)
            before = report_of(store, rejected)
            assert before.decision is None
            assert emulator.hub.repositories == {}
            resume_flow_run(rejected, run_input={"verdict": "reject", "comment": "it invents file names"})
            ended = await_state(rejected, "FAILED")
            assert ended.name == "Refused"
            assert ended.message == "a person rejected the release: it invents file names"
            after = report_of(store, rejected)
            assert (after.decision, after.release) == ("refuse", None)
            assert states(after) == {"Cached"}
            assert after.resolved["scheduled"] == before.resolved["scheduled"]
            assert emulator.hub.repositories == {}

            approved = start(params)
            resume_flow_run(approved, run_input={"verdict": "approve", "comment": ""})
            assert await_state(approved, "COMPLETED").message == report_of(store, approved).release
            assert states(report_of(store, approved)) == {"Cached"}
            released = emulator.hub.repositories["models", REPO].at("main").files
            assert json.loads(released["manifest.json"].data)["gate"]["decision"] == "allow"
            history = [commit.title for commit in emulator.hub.repositories["models", REPO].history("main")]
            assert len(history) == 2

            again = run_deployment("retrain/approved", parameters={"params": document}, timeout=0, as_subflow=False)
            await_state(again.id, "COMPLETED")
            assert len(emulator.hub.repositories["models", REPO].history("main")) == 2

            other = params.model_copy(
                update={
                    "name": "other",
                    "gate": params.gate.model_copy(update={"approval_hours": 0.002}),
                    "release": params.release.model_copy(update={"repo_id": "octocat/other-lora"}),
                }
            )
            late = await_state(start(other), "FAILED")
            assert late.message == "The flow was paused and never resumed."
            assert ("models", "octocat/other-lora") not in emulator.hub.repositories
