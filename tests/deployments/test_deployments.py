"""Every deployment that a person starts, as `rawtune deploy` makes it: parent on `cpu`, child on a GPU pool."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, VariableUpdate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.states import Cancelled, Pending

from deployments.lambda_cloud.wheel import CHECKOUT
from deployments.prefect.form import variable_of
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tests.deployments.prefect_server import PrefectServer, process_worker
from tests.deployments.test_cli import RAWTUNE
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import make_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

POOL = "gpu-colab"

SEARCH = {
    "trials": 2, "rank": [4, 8], "alpha_ratio": [1.0], "batch_size": [1], "learning_rate": [1e-3],
    "pruning": "none", "startup_trials": 1, "looks": 1,
}  # fmt: skip


def deploy(server: PrefectServer, preset: Path) -> str:
    """What docs/operations.md says; returns what it printed."""
    done = subprocess.run(
        [*RAWTUNE, "deploy", str(preset)], cwd=CHECKOUT, env=server.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    return done.stdout


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

    preset = tmp_path / "post.yaml"
    preset.write_text(yaml.safe_dump(params))

    def run(client: SyncPrefectClient, name: str, **more: Any) -> None:
        done = ended(client, f"{name}/post", {"preset": "post"} | more)
        path = store.root / "ledger" / str(done.id) / "run.json"
        made = RunReport.model_validate_json(path.read_text("utf-8"))
        reports[f"{name} {more['until']}"] = {step.step: step.state for step in made.steps}
        assert re.fullmatch(r"post @ 2024-01-\d\d [0-9a-f]{7}", done.name)

    deploy(server, preset)
    with (
        temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}),
        get_client(sync_client=True) as client,
        process_worker(server, "cpu"),
        process_worker(server, POOL),
    ):
        run(client, "retrain", until="dataset")
        run(client, "retrain", until="train")
        run(client, "publish-release", until="evaluate")
        run(client, "publish-release", until="publish")
        run(client, "search-hyperparameters", until="dataset")
        children = [
            found.name
            for name in ("train-adapter", "search-trials")
            for found in client.read_flow_runs(flow_filter=FlowFilter.model_validate({"name": {"any_": [name]}}))
            if found.work_pool_name == POOL
        ]
        leave_alone(client, server, preset)
    assert len(children) == 3, children
    assert reports["retrain train"]["mixture/assemble"] == "Cached"
    assert reports["retrain train"]["training/train"] == "Completed"
    assert reports["publish-release evaluate"]["training/train"] == "Cached"
    assert reports["publish-release evaluate"]["evaluation/report"] == "Completed"
    assert reports["publish-release publish"]["evaluation/report"] == "Cached"
    assert reports["publish-release publish"]["release/publish"] == "Completed"
    assert reports["search-hyperparameters dataset"]["training/search-report"] == "Completed"


def test_month_that_begins_while_the_one_before_goes_on_waits_for_it(
    server: PrefectServer, tiny_model: Path, tmp_path: Path
):
    preset = tmp_path / "turns.yaml"
    tiny = tiny_params(make_repository(tmp_path / "post"), tiny_model, tmp_path / "store")
    params = tiny.model_dump(mode="json", exclude_defaults=True)  # a server takes 5,000 characters
    preset.write_text(yaml.safe_dump(params | {"name": "turns"}))
    deploy(server, preset)
    with temporary_settings({PREFECT_API_URL: server.url}), get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("retrain/turns").id
        first, second = (client.create_flow_run_from_deployment(deployment).id for _ in range(2))
        assert client.set_flow_run_state(first, Pending()).status is SetStateStatus.ACCEPT
        for _ in range(2):
            refused = client.set_flow_run_state(second, Pending())
            assert refused.status is SetStateStatus.REJECT
            assert client.read_flow_run(second).state_name == "AwaitingConcurrencySlot"
        client.set_flow_run_state(first, Cancelled(), force=True)
        assert client.set_flow_run_state(second, Pending()).status is SetStateStatus.ACCEPT
        client.set_flow_run_state(second, Cancelled(), force=True)


def leave_alone(client: SyncPrefectClient, server: PrefectServer, preset: Path) -> None:
    """A redeploy brings an unedited preset up to date and leaves what somebody changed."""
    before = client.read_deployment_by_name("retrain/post")
    assert [(one.slug, one.active) for one in before.schedules] == [("monthly", False)]
    client.update_deployment_schedule(before.id, before.schedules[0].id, active=True)
    client.update_deployment(
        before.id, DeploymentUpdate(parameters={"preset": "post", "until": "dataset"}, tags=["rawtune", "ours"])
    )
    client.update_work_pool("cpu", WorkPoolUpdate(concurrency_limit=7))
    preset.write_text(preset.read_text() + "# the same\n")
    deploy(server, preset)
    after = client.read_deployment_by_name("retrain/post")
    assert [(one.slug, one.active) for one in after.schedules] == [("monthly", True)]
    assert after.parameters == {"preset": "post", "until": "dataset"}
    assert set(after.tags) == {"rawtune", "ours"}
    assert client.read_work_pool("cpu").concurrency_limit == 7
    client.update_deployment_schedule(after.id, after.schedules[0].id, active=False)

    variable = client.read_variable_by_name(variable_of("post"))
    assert variable is not None
    assert isinstance(variable.value, dict)
    edited = dict(variable.value)
    edited["document"] = {**edited["document"], "training": {**edited["document"]["training"], "epochs": 9}}
    client.update_variable(VariableUpdate(name=variable.name, value=edited))
    assert "preset post was edited on the server and stays" in deploy(server, preset)
    kept = client.read_variable_by_name(variable_of("post"))
    assert kept is not None
    assert kept.value == edited
