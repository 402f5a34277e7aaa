"""Every deployment that a person starts, as prefect.yaml deploys it: parent on `cpu`, child on a GPU pool."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from deployments.lambda_cloud.wheel import CHECKOUT
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tests.deployments.prefect_server import PrefectServer, process_worker
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import make_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

POOL = "gpu-colab"

SEARCH = {
    "trials": 2, "rank": [4, 8], "alpha_ratio": [1.0], "batch_size": [1], "learning_rate": [1e-3],
    "pruning": "none", "startup_trials": 1, "looks": 1,
}  # fmt: skip


def deploy(server: PrefectServer) -> None:
    """What docs/operations.md says."""
    environment = server.environment | {"RAWTUNE_STORE": "s3://bucket/rawtune", "PYTHONPATH": str(CHECKOUT)}
    deploying = [*("-m", "prefect", "--no-prompt", "deploy", "--all"), "--prefect-file", "deployments/prefect.yaml"]
    for arguments in (["-m", "deployments.prefect.pools"], deploying):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=CHECKOUT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]


def ended(client: SyncPrefectClient, name: str, parameters: dict[str, Any]) -> FlowRun:
    """Starts a deployment and waits for its end."""
    made = client.create_flow_run_from_deployment(client.read_deployment_by_name(name).id, parameters=parameters)
    deadline = time.monotonic() + 600
    while True:
        run = client.read_flow_run(made.id)
        if run.state is not None and run.state.is_final():
            assert run.state_name == "Completed", (name, run.state)
            return run
        assert time.monotonic() < deadline, (name, run.state)
        time.sleep(1)


def test_deployments_complete_with_parent_and_child_on_two_pools(
    server: PrefectServer, tiny_model: Path, tmp_path: Path
):
    store = Store(str(tmp_path / "store"))
    params = tiny_params(make_repository(tmp_path / "post"), tiny_model, tmp_path / "store").model_dump(mode="json")
    params |= {"compute": {"pool": POOL}, "search": SEARCH}
    params["dataset"]["train_tokens"] = 3000
    params["evaluation"]["loss_tokens"] = 500
    reports: dict[str, dict[str, str]] = {}

    def run(client: SyncPrefectClient, name: str, **more: Any) -> None:
        done = ended(client, name, {"params": params} | more)
        path = store.root / "ledger" / str(done.id) / "run.json"
        made = RunReport.model_validate_json(path.read_text("utf-8"))
        reports[name] = {step.step: step.state for step in made.steps}

    deploy(server)
    with (
        temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}),
        get_client(sync_client=True) as client,
        process_worker(server, "cpu"),
        process_worker(server, POOL),
    ):
        run(client, "build-dataset/cpu")
        run(client, "retrain/monthly", until="train")
        run(client, "evaluate-adapter/cpu")
        run(client, "publish-release/cpu")
        run(client, "search-hyperparameters/cpu", until="dataset")
        children = [
            found.name
            for name in ("train-adapter", "search-trials")
            for found in client.read_flow_runs(flow_filter=FlowFilter.model_validate({"name": {"any_": [name]}}))
            if found.work_pool_name == POOL
        ]
    assert len(children) == 3, children
    assert reports["retrain/monthly"]["mixture/assemble"] == "Cached"
    assert reports["retrain/monthly"]["training/train"] == "Completed"
    assert reports["evaluate-adapter/cpu"]["training/train"] == "Cached"
    assert reports["evaluate-adapter/cpu"]["evaluation/report"] == "Completed"
    assert reports["publish-release/cpu"]["evaluation/report"] == "Cached"
    assert reports["publish-release/cpu"]["release/publish"] == "Completed"
    assert reports["search-hyperparameters/cpu"]["training/search-report"] == "Completed"
