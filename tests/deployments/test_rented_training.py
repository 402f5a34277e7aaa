"""The whole way of a GPU run: parent, pool, worker, rented machine, rawtune's own wheel, training, adapter in S3.

The machine is lost in the middle; a second one goes on from the checkpoint that the first has uploaded.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter

from deployments.deploying import deployment
from flows.compute import Work, placed
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact, Store
from tasks.training.params import TrainingParams
from tasks.training.train import train
from tests.deployments.prefect_server import PrefectServer
from tests.deployments.test_lambda_worker import MAX_USD, Drill, drill, pool  # noqa: F401  (fixtures)
from tests.training.conftest import ROWS, write_table

pytestmark = pytest.mark.slow

PARAMS = TrainingParams.model_validate(
    {"base_model": "stub", "backend": "trl", "rank": 4, "alpha": 4, "epochs": 60, "max_usd": MAX_USD}
)


@step("tests/copied", "1")
def copied(run: StepRun, path: str) -> None:
    for file in Path(path).iterdir():
        run.path(file.name).write_bytes(file.read_bytes())


def wait_for(condition: Callable[[], bool], seconds: float, story: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, story()
        time.sleep(0.3)


def test_training_on_a_rented_machine_goes_on_where_a_lost_one_left_off(
    drill: Drill,  # noqa: F811
    server: PrefectServer,
    s3_bucket: str,
    tiny_model: Path,
    tmp_path: Path,
):
    store = Store(f"{s3_bucket}/rented")
    write_table(tmp_path, ROWS)
    table = copied.direct(store, path=str(write_only(tmp_path)))
    model = copied.direct(store, path=str(tiny_model))
    trainer = deployment("flows.train_adapter.train_adapter", name=drill.pool, job_variables={"env": {}})
    trainer.apply(work_pool_name=drill.pool)
    work = Work(store, table, model, PARAMS, None)
    steps = placed(drill.pool, work)
    key = train.key(table=table, model=model, params=PARAMS)
    made: list[Artifact] = []
    worker = drill.process(server)

    def train_elsewhere() -> None:
        made.append(steps.train.direct(store, table=table, model=model, params=PARAMS))

    # a thread does not see the settings of the test unless it gets the context that they live in
    parent = threading.Thread(target=contextvars.copy_context().run, args=(train_elsewhere,), daemon=True)
    parent.start()
    try:
        checkpoints = store.root / "cache" / "training"
        wait_for(lambda: bool(list(checkpoints.glob("*/step-*/complete.json"))), 150, drill.story)
        (first,) = drill.cloud.cloud.live()
        drill.cloud.cloud.lose(first)
        wait_for(lambda: not parent.is_alive() and not drill.cloud.cloud.live(), 200, drill.story)
        reported = ArtifactFilter.model_validate({"key": {"any_": ["gpu-cost"]}})
        with get_client(sync_client=True) as client:
            # a rental's dollars are reported by the worker a moment after its machine is gone
            wait_for(lambda: len(client.read_artifacts(artifact_filter=reported)) >= 2, 30, drill.story)
    finally:
        worker.terminate()
        worker.wait(30)
    (adapter,) = made
    assert adapter.counts["steps"] == 60 * len(ROWS)
    assert {path.name for path in store.blob(adapter.sha256).iterdir()} >= {"adapter_model.safetensors", "loss.jsonl"}
    assert len(drill.cloud.cloud.instances) == 2
    made_by = store.manifest("training/train", key)
    assert made_by is not None
    assert made_by.resolved["resumed_at"] > 0
    assert drill.cloud.cloud.usd() <= MAX_USD
    print(f"spent ${drill.cloud.cloud.usd():.3f} on two machines")


def write_only(folder: Path) -> Path:
    """The table's two files in a folder of their own."""
    target = folder / "table"
    target.mkdir()
    for name in ("table.parquet", "rows.jsonl"):
        (folder / name).rename(target / name)
    return target
