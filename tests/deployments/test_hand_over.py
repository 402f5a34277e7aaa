"""Parent and GPU child as runs of two deployments on a real server: crashes, failures, cancellation, two parents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun
from prefect.concurrency.sync import concurrency
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.states import Cancelling

from deployments.prefect.deploying import deployment
from deployments.prefect.pools import Pool, ensure_gpu_limit, ensure_pool
from flows.compute import GpuSteps, gpu_steps
from flows.mixing import Dataset
from flows.params import RetrainParams
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.training.params import TrainingParams
from tests.deployments.drills import tell
from tests.deployments.prefect_server import PrefectServer, process_worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NOTHING = Artifact(step="tests/nothing", version="1", uri="", sha256="0" * 64, counts={})


def steps_on(pool: str, store: Store) -> GpuSteps:
    params = {"name": "post", "sources": [{"repo": "post"}], "compute": {"pool": pool}}
    data = Dataset(**dict.fromkeys(Dataset.model_fields, NOTHING))
    return gpu_steps(store, data, RetrainParams.model_validate(params), asks=False)


@dataclass(frozen=True)
class Office:
    """A pool with a worker, the two deployments, and a folder for the stand-in's behaviour."""

    client: SyncPrefectClient
    pool: str
    store: Path

    def behave(self, *words: str) -> None:
        (self.store / "behaviour").write_text("\n".join(words) + "\n", "utf-8")

    def start(self, key: str) -> UUID:
        deployment = self.client.read_deployment_by_name(f"handing-over/{self.pool}")
        parameters = {"store": str(self.store), "pool": self.pool, "key": key}
        return self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id

    def ended(self, run: UUID, seconds: float = 400) -> FlowRun:
        deadline = time.monotonic() + seconds
        while True:
            found = self.client.read_flow_run(run)
            if found.state is not None and found.state.is_final():
                return found
            assert time.monotonic() < deadline, found.state
            time.sleep(0.5)

    def until(self, condition: Callable[[], bool], seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.children()
            time.sleep(0.5)

    def children(self) -> list[str]:
        """Names of the children's states, the oldest first."""
        found = self.client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"name": {"any_": ["train-adapter"]}}),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [self.pool]}}),
        )
        ordered = sorted(found, key=lambda run: run.created or run.expected_start_time)
        return [run.state.name for run in ordered if run.state is not None]


@pytest.fixture(scope="module")
def office(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    store = tmp_path_factory.mktemp("store")
    with (
        temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}),
        get_client(sync_client=True) as client,
    ):
        pool = "box"
        ensure_pool(client, Pool(pool, "process", "drill", 4))
        ensure_gpu_limit(client)
        for name in ("standing_in", "handing_over"):
            made = deployment(f"tests.deployments.sample_flows.{name}", name=pool)
            made.apply(work_pool_name=pool)
        with process_worker(server, pool):
            yield Office(client, pool, store)


def test_hand_over_starts_a_crashed_child_again(office: Office):
    before = len(office.children())
    office.behave("crash", "complete")
    state = office.ended(office.start("crashing")).state
    assert state is not None
    assert state.is_completed(), state.message
    assert office.children()[before:] == ["Crashed", "Completed"]


def test_hand_over_fails_with_a_failed_child_and_a_later_parent_tries_anew(office: Office):
    before = len(office.children())
    office.behave("fail", "complete")
    state = office.ended(office.start("failing")).state
    assert state is not None
    assert state.is_failed()
    assert "ended as Failed" in (state.message or "")
    state = office.ended(office.start("failing")).state
    assert state is not None
    assert state.is_completed(), state.message
    assert office.children()[before:] == ["Failed", "Completed"]


def test_hand_over_of_two_parents_pays_for_one_child(office: Office):
    before = len(office.children())
    office.behave("complete", "complete")
    runs = [office.start("shared"), office.start("shared")]
    assert [office.ended(run).state_name for run in runs] == ["Completed", "Completed"]
    assert office.children()[before:] == ["Completed"]


def test_hand_over_waits_for_a_gpu_and_can_be_cancelled_meanwhile(office: Office):
    before = len(office.children())
    office.behave("complete")
    with concurrency("gpu", strict=True):
        cancelled, patient = office.start("cancelled-in-line"), office.start("patient")
        for run in (cancelled, patient):
            office.until(lambda run=run: office.client.read_flow_run(run).state_name == "Running")
        time.sleep(5)
        assert office.children()[before:] == []
        office.client.set_flow_run_state(cancelled, Cancelling())
        assert office.ended(cancelled).state_name == "Cancelled"
        assert office.client.read_global_concurrency_limit_by_name("gpu").active_slots == 1
    assert office.ended(patient).state_name == "Completed"
    assert office.children()[before:] == ["Completed"]
    assert office.client.read_global_concurrency_limit_by_name("gpu").active_slots == 0


def test_hand_over_without_the_limit_is_bad_input(office: Office, store: Store):
    office.client.delete_global_concurrency_limit_by_name("gpu")
    try:
        with pytest.raises(InputError, match="no global concurrency limit `gpu`; make it with"):
            steps_on(office.pool, store).train.direct(store, table=NOTHING, model=NOTHING, params=TrainingParams())
    finally:
        ensure_gpu_limit(office.client)


def test_hand_over_cancelled_parent_takes_its_child_along(office: Office):
    before = len(office.children())
    office.behave("wait")
    run = office.start("cancelled")
    office.until(lambda: office.children()[before:] == ["Running"])
    office.client.set_flow_run_state(run, Cancelling())
    started = time.monotonic()
    assert office.ended(run).state_name == "Cancelled"
    office.until(lambda: office.children()[before:] == ["Cancelled"], 100)
    tell(f"child cancelled {time.monotonic() - started:.1f} s after the parent")


def test_hand_over_without_a_deployment_is_bad_input(office: Office, store: Store):
    with pytest.raises(InputError, match=r"compute.pool: there is no deployment train-adapter/nowhere"):
        steps_on("nowhere", store).train.direct(store, table=NOTHING, model=NOTHING, params=TrainingParams())


def test_hand_over_of_a_local_store_to_a_rented_machine_is_bad_input(office: Office, store: Store):
    ensure_pool(office.client, Pool("cloud", "lambda-cloud", "drill", 1))
    deployment("tests.deployments.sample_flows.standing_in", name="cloud").apply(work_pool_name="cloud")
    with pytest.raises(InputError, match="which pool cloud cannot read"):
        steps_on("cloud", store).train.direct(store, table=NOTHING, model=NOTHING, params=TrainingParams())
