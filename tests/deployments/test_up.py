"""`rawtune up` on PostgreSQL and a person at its UI: a run is started in headless Chromium and completes."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.base.ledger import RunReport
from tests.deployments.browser import chromium_page, pictures, press_run
from tests.deployments.prefect_server import Postgres
from tests.flows.sample_repository import make_repository

pytestmark = pytest.mark.slow


UP = "import sys; from deployments.cli import main; sys.argv[0] = 'rawtune'; main()"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[str]:
    """Address of the UI."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    database = Postgres()
    surroundings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database.url
    try:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", UP, "up", "--store", str(tmp_path / "store")],
            cwd=tmp_path,
            env=surroundings,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "log" in line:
                break
        (address,) = re.findall(r"http://127.0.0.1:\d+/open#\S+", "".join(lines))
        yield address
        assert database.psql("select count(*) from flow_run", "prefect") == "2"
        process.terminate()
        process.wait(60)
    finally:
        database.close()


CHEAP = "{dataset: {replay: null}, training: {kl_weight: 0}}"
"""The base model's samples would take most of the run's time."""


def ask(entrance: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    """An answer of the API to somebody who has the password."""
    address, _, password = entrance.partition("/open#")
    basic = "Basic " + base64.b64encode(password.encode()).decode()
    request = urllib.request.Request(
        f"{address}/api/{path}", body, {"Content-Type": "application/json", "Authorization": basic} | headers
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def ended(up: str, *names: str) -> dict[str, Any]:
    """The newest run of the flow once it is over."""
    body = json.dumps({"flows": {"name": {"any_": names}}, "sort": "EXPECTED_START_TIME_DESC"}).encode()
    deadline = time.monotonic() + 700
    found: list[Any] = []
    while not found or found[0]["state_type"] not in ("COMPLETED", "FAILED", "CRASHED"):
        assert time.monotonic() < deadline, found
        time.sleep(1)
        found = ask(up, "flow_runs/filter", body)
    run: dict[str, Any] = found[0]
    return run


def refused(entrance: str, path: str, body: bytes | None = None, **headers: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(entrance, path, body, **headers)
    return raised.value.code


@pytest.mark.timeout(900)
def test_run_started_in_the_ui_with_changed_fields_completes(up: str, tmp_path: Path):
    make_repository(tmp_path / "post")
    deployment = ask(up, "deployments/name/retrain/dry-run")
    assert [one["active"] for one in deployment["schedules"]] == [False]
    ui = up.partition("/open#")[0]
    with chromium_page() as page:
        page.goto(up)
        page.wait_for_url(re.compile("/dashboard"))
        fields = {"repository": str(tmp_path / "post"), "overrides": CHEAP}
        press_run(page, ui, deployment["id"], fields, until="dataset")
        run = ended(up, "retrain")
        assert run["state_type"] == "COMPLETED", run["state"]
        assert run["name"].startswith("post @ 2024-01-")
        assert run["parameters"]["preset"] == "dry-run"
        assert run["parameters"]["until"] == "dataset"
        page.goto(f"{ui}/runs/flow-run/{run['id']}")
        page.get_by_text("harvest/snapshot").first.wait_for(timeout=60_000)
        page.wait_for_timeout(2000)
        page.screenshot(path=str(pictures() / "run.png"))
    path = tmp_path / "store" / "ledger" / run["id"] / "run.json"
    report = RunReport.model_validate_json(path.read_text("utf-8"))
    made = {step.step: step for step in report.steps}
    assert {"harvest/snapshot", "corpus/split", "synthesis/dialogues", "mixture/assemble"} <= made.keys()
    assert "training/train" not in made
    assert {step.state for step in report.steps} == {"Completed"}
    snapshot = made["harvest/snapshot"].artifact
    assert snapshot is not None
    assert snapshot["counts"]["records"] == 22

    publishing = ask(up, "deployments/name/publish-release/dry-run")
    body = json.dumps({"parameters": {"preset": "dry-run", "repository": str(tmp_path / "post")}}).encode()
    ask(up, f"deployments/{publishing['id']}/create_flow_run", body)
    state = ended(up, "publish-release")["state"]
    assert "the store has no adapter of these parameters; run `retrain` with them first" in state["message"]

    attack(up, deployment["id"], tmp_path / "executed")


def attack(up: str, deployment: str, executed: Path) -> None:
    """A page of another origin, or another program of this machine, has a worker execute a command."""
    order = json.dumps({"job_variables": {"command": f"touch {executed}"}}).encode()
    path = f"deployments/{deployment}/create_flow_run"
    without = up.partition("/open#")[0] + "/open#"
    assert refused(without, path, order) == 401
    assert refused(without + "rawtune:guess", path, order) == 401
    assert refused(up, path, order, Origin="http://evil.example") == 403
    assert refused(up, path, order, Origin="null") == 403
    assert refused(up, path, order, Host="evil.example") == 403
    assert refused(up, path, order, Host="127.0.0.1:1") == 403
    entrance = urllib.request.urlopen(up.partition("#")[0], timeout=20).read()
    assert up.partition("#")[2].encode() not in entrance
    time.sleep(5)
    assert not executed.exists()
    assert len(ask(up, "flow_runs/filter", b"{}")) == 2
