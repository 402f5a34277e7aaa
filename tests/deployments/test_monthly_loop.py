"""Three months in a row, each a run of the deployed workflow whose scheduled start lies in that month."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from deployments.cli.monthly import months
from deployments.prefect.deploying import deployment
from deployments.prefect.pools import Pool, ensure_pool
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tasks.evaluation.params import ItemsParams
from tests.deployments.drills import tell
from tests.deployments.prefect_server import PrefectServer, process_worker
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import edit_page, make_repository

pytestmark = pytest.mark.slow

MONTHS = ("2024-01-06", "2024-02-01", "2024-03-01")
"""The repository is edited on the 9th of January, so the second month is the first to see it."""

PRICE = 2.86
"""Dollars an hour that this machine is said to cost."""


def run_month(params: object, start: str, store: Store) -> RunReport:
    """Runs the deployment as if its schedule had fallen on that day, and waits."""
    scheduled = datetime.fromisoformat(start).replace(hour=3, tzinfo=UTC)
    run = run_deployment("retrain/months", parameters={"params": params}, scheduled_time=scheduled, timeout=0)
    deadline = time.monotonic() + 450
    with get_client(sync_client=True) as client:
        while True:
            state = client.read_flow_run(run.id).state
            if state is not None and state.is_final():
                break
            assert time.monotonic() < deadline, state
            time.sleep(1)
    assert state.is_completed(), state.message
    return RunReport.model_validate_json((store.root / "ledger" / str(run.id) / "run.json").read_text("utf-8"))


def states(report: RunReport) -> dict[str, str]:
    return {outcome.step: outcome.state for outcome in report.steps}


@pytest.mark.timeout(1300)
def test_three_months_first_full_second_incremental_third_publishes_nothing(
    server: PrefectServer, tiny_model: Path, tmp_path: Path
):
    repository = make_repository(tmp_path / "post")
    edit_page(repository)
    store = Store(str(tmp_path / "store"))
    params = tiny_params(repository, tiny_model, tmp_path / "store").model_dump(mode="json")
    params["training"]["usd_per_hour"] = PRICE
    params["evaluation"] |= {"general_items": 5, "general_suites": [one.value for one in ItemsParams().general_suites]}
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}):
        with get_client(sync_client=True) as client:
            ensure_pool(client, Pool("months", "process", "drill", 1))
        made = deployment("flows.retrain.retrain", name="months")
        made.apply(work_pool_name="months")
        with process_worker(server, "months"):
            first, second, third = (run_month(params, month, store) for month in MONTHS)

    assert set(states(first).values()) == {"Completed"}
    assert states(second)["harvest/snapshot"] == states(second)["training/train"] == "Completed"
    assert {"harvest/wiki", "model/base"} <= {step for step, state in states(second).items() if state == "Cached"}
    assert set(states(third).values()) == {"Cached"}
    assert first.release != second.release == third.release
    assert [report.resolved["scheduled"][:10] for report in (first, second, third)] == list(MONTHS)

    cost = months(store)
    assert [month.month for month in cost] == [month[:7] for month in MONTHS]
    assert [month.runs for month in cost] == [1, 1, 1]
    assert [month.steps.get("Completed", 0) for month in cost[::2]] == [len(first.steps), 0]
    assert [month.releases for month in cost] == [1, 1, 0]
    assert [month.gpu_usd > 0 for month in cost] == [True, True, False]
    assert cost[0].gpu_usd < first.seconds / 3600 * PRICE
    assert [month.api_usd for month in cost] == [0, 0, 0]

    for month, report, spent in zip(MONTHS, (first, second, third), cost, strict=True):
        done = sum(state == "Completed" for state in states(report).values())
        name = Path(report.release or "-").name
        tell(f"{month}: {done} steps done, {report.seconds:.1f} s, ${spent.usd:.4f}, release {name}")
