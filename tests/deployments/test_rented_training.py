"""The whole way of a GPU run: Run pressed in the UI, parent, pool, worker, rented machine, training, adapter in S3.

The machine is lost as soon as its first checkpoint is in the store; a second one goes on from there.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter, LogFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun

from deployments.cli.monthly import months
from deployments.prefect.deploying import deployment
from deployments.prefect.form import variable_of
from deployments.prefect.pools import Pool, ensure_gpu_limit, ensure_pool
from flows.params import RetrainParams
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tests.deployments.browser import chromium_page, press_run
from tests.deployments.drills import MAX_USD, Drill, tell
from tests.deployments.prefect_server import PrefectServer, process_worker
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import make_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STUDY = {"manners": ["summary"], "questions": 1, "listing_tokens": 16, "answer_tokens": 16, "max_rejected": 1.0}
EPOCHS = 12
"""Several hundred steps with a checkpoint after every eighth of them: the machine is lost in the second eighth."""


def slow_params(repository: Path, model: Path, store: Store, pool: str) -> RetrainParams:
    document: dict[str, Any] = tiny_params(repository, model, Path("unused")).model_dump(mode="json")
    document["training"] |= {"epochs": EPOCHS, "max_usd": MAX_USD}
    # written there too; a random model never ends a turn, and soft targets may be seen more than once
    document["dataset"]["replay"] = {"streams": {"raw": 1}, "soft_targets": 4}
    # and so is study material, none of which is true
    document["synthesis"] |= {"methods": ["facts", "study"], "study": STUDY}
    return RetrainParams.model_validate(document | {"store": store.uri, "compute": {"pool": pool}})


def wait_for(condition: Callable[[], bool], seconds: float, story: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, story()
        time.sleep(0.3)


def runs_of(client: SyncPrefectClient, pool: str) -> list[FlowRun]:
    """The oldest first."""
    found = client.read_flow_runs(work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [pool]}}))
    return sorted(found, key=lambda run: run.created or run.expected_start_time)


def told(client: SyncPrefectClient, *pools: str) -> str:
    """States and last log lines of the pools' runs, for messages of a failing drill."""
    lines = []
    for run in itertools.chain.from_iterable(runs_of(client, pool) for pool in pools):
        mine = LogFilter.model_validate({"flow_run_id": {"any_": [str(run.id)]}})
        logs = client.read_logs(mine, limit=200)
        lines += [f"{run.name} {run.state}", *(log.message for log in logs[-8:])]
    return "\n".join(lines)


def rentals(client: SyncPrefectClient, runs: list[FlowRun]) -> int:
    """Rows of dollars that the worker has reported for the runs."""
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter.model_validate({"key": {"any_": ["gpu-cost"]}}),
        flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [str(run.id) for run in runs]}}),
    )
    return len(found)


def test_run_of_the_ui_trains_on_rented_machines_and_outlives_the_first(
    drill: Drill, server: PrefectServer, s3_bucket: str, tiny_model: Path, tmp_path: Path
):
    store = Store(f"{s3_bucket}/{drill.pool}")
    params = slow_params(make_repository(tmp_path / "post"), tiny_model, store, drill.pool)
    office = f"cpu-{drill.pool}"
    machines = drill.cloud.cloud
    with get_client(sync_client=True) as client:
        ensure_pool(client, Pool(office, "process", "drill", 1))
        ensure_gpu_limit(client)
        deployment("flows.train_adapter.train_adapter", name=drill.pool).apply(work_pool_name=drill.pool)
        document = params.model_dump(mode="json", exclude_defaults=True) | {"name": "rented"}
        value = {"preset": "rented", "document": document, "sha256": ""}
        client.create_variable(VariableCreate(name=variable_of("rented"), value=value))
        parent = deployment("deployments.prefect.form.retrain", name=office, parameters={"preset": "rented"})
        identifier = parent.apply(work_pool_name=office)
        worker = drill.process(server)

        def story() -> str:
            return f"{told(client, office, drill.pool)}\n{drill.story()}"

        try:
            with process_worker(server, office):
                with chromium_page() as page:
                    ui = server.url.removesuffix("/api")
                    press_run(page, ui, identifier, {"overrides": "name: rented"}, until="train", picture="rented")
                checkpoints = store.root / "cache" / "training"
                wait_for(lambda: bool(list(checkpoints.glob("*/step-*/complete.json"))), 600, story)
                assert not list(store.manifests("training/train"))
                (first,) = machines.live()
                machines.lose(first)
                wait_for(
                    lambda: all(run.state and run.state.is_final() for run in runs_of(client, office)), 700, drill.story
                )
                wait_for(lambda: not machines.live(), 60, story)
                children = runs_of(client, drill.pool)
                # a rental's dollars are reported by the worker a moment after its machine is gone
                wait_for(lambda: rentals(client, children) == 2, 30, story)
        finally:
            worker.terminate()
            worker.wait(90)
        (run,) = runs_of(client, office)
    assert run.state_name == "Completed", run.state
    assert run.parameters["overrides"] == "name: rented"
    assert [child.state_name for child in children] == ["Crashed", "Completed"]
    assert len(machines.instances) == 2
    (trained,) = store.manifests("training/train")
    assert 0 < trained.resolved["resumed_at"] < trained.counts["steps"]
    assert {"adapter_model.safetensors", "loss.jsonl"} <= {file.path for file in trained.files}
    assert store.is_whole(trained)
    report = RunReport.model_validate_json((store.root / "ledger" / str(run.id) / "run.json").read_text("utf-8"))
    assert (report.steps[-1].step, report.steps[-1].state) == ("training/train", "Completed")
    done = {step.step: step.state for step in report.steps}
    assert (done["synthesis/written"], done["synthesis/dialogues"]) == ("Completed", "Cached")  # all in one rental
    assert done["mixture/replay"] == done["mixture/assemble"] == "Cached"
    second = RunReport.model_validate_json(
        (store.root / "ledger" / str(children[-1].id) / "run.json").read_text("utf-8")
    )
    there = {step.step: step.state for step in second.steps}
    # the first machine's table was found in the store, so the second one trains and no more
    assert not {"synthesis/written", "mixture/replay", "mixture/assemble"} & there.keys()
    (month,) = months(store)
    assert (month.runs, month.releases) == (3, 0)
    assert machines.usd() - 1e-4 <= month.gpu_usd <= MAX_USD  # told in hundredths of a cent
    steps = trained.counts["steps"]
    tell(
        f"spent ${machines.usd():.3f} of ${MAX_USD:g} on 2 machines; "
        f"resumed at {trained.resolved['resumed_at']} of {steps} steps"
    )
