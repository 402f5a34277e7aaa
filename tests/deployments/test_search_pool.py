"""A search whose trials are made by a worker of a pool: one child run makes them all, the parent finds them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from deployments.prefect.deploying import deployment
from deployments.prefect.pools import Pool, ensure_gpu_limit, ensure_pool
from flows.compute import trials_on
from flows.mixing import Dataset
from flows.trials import Trials, is_tried
from tasks.base.artifacts import Artifact
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.training.params import SearchParams, TrainingParams
from tests.deployments.prefect_server import PrefectServer, process_worker
from tests.training.conftest import ROWS, write_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@step("tests/made", "1")
def made(run: StepRun, kind: str, model: str) -> None:
    if kind == "table":
        write_table(run.folder, ROWS)
    elif kind == "model":
        shutil.copytree(model, run.folder, dirs_exist_ok=True)
    else:
        ids = list(range(100, 130))
        row = {"id": "a", "stream": "raw_held_out", "input_ids": ids, "labels": ids}
        run.path("rows.jsonl").write_text(json.dumps(row) + "\n", "utf-8")


def test_trials_on_a_pool_are_made_by_one_child_and_found_by_the_parent(
    server: PrefectServer, tiny_model: Path, tmp_path: Path
):
    store = Store(str(tmp_path / "store"))
    inputs: dict[str, Artifact] = {
        kind: made.direct(store, kind=kind, model=str(tiny_model)) for kind in ("table", "model", "held_out")
    }
    work = Trials(
        data=Dataset(**dict.fromkeys(Dataset.model_fields, inputs["table"]) | {"model": inputs["model"]}),
        held_out=inputs["held_out"],
        training=TrainingParams(
            backend="fast", rank=4, alpha=4, batch_size=1, epochs=1, learning_rate=1e-3, precision="float32"
        ),
        search=SearchParams(trials=2, sampler="grid", rank=(2, 4), alpha_ratio=(), batch_size=(), looks=2),
        evaluation=None,
    )
    with (
        temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}),
        get_client(sync_client=True) as client,
    ):
        ensure_pool(client, Pool("trials", "process", "drill", 1))
        ensure_gpu_limit(client)
        named = FlowFilter.model_validate({"name": {"any_": ["search-trials"]}})
        earlier = {run.id for run in client.read_flow_runs(flow_filter=named)}  # the server is shared
        deployment("flows.trials.search_trials", name="trials").apply(work_pool_name="trials")
        assert not is_tried(store, work)
        with process_worker(server, "trials"):
            tried, best = trials_on("trials", store, work)
        assert trials_on("trials", store, work) == (tried, best)  # and no worker is there any more
        runs = [run for run in client.read_flow_runs(flow_filter=named) if run.id not in earlier]
    assert [run.state_name for run in runs] == ["Completed"]
    assert [(one.state, len(one.looks)) for one in tried] == [("complete", 2)] * 2
    assert best.value == min(one.value for one in tried if one.value is not None)
    made_by_child = list(store.manifests("training/trial"))
    assert len(made_by_child) == 2
    more = work.model_copy(update={"search": work.search.model_copy(update={"rank": (2, 4, 8), "trials": 3})})
    assert (is_tried(store, work), is_tried(store, more)) == (True, False)
    store.set_aside(made_by_child[0].sha256)
    assert not is_tried(store, work)
