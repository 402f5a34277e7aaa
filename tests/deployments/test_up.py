"""`rawtune up` and a person at its UI: a run is started in headless Chromium with changed fields, and completes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tasks.base.ledger import RunReport
from tests.flows.sample_repository import make_repository

pytestmark = pytest.mark.slow

UP = """
import sys
from deployments.up import serve_everything
from tasks.base.store import Store
serve_everything(Store(sys.argv[1]))
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[str]:
    """Address of the UI."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", UP, str(tmp_path / "store")],
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
    (address,) = re.findall(r"http://127.0.0.1:\d+", "".join(lines))
    yield address
    process.terminate()
    process.wait(60)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 1400})
        finally:
            browser.close()


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def pictures() -> Path:
    """Where the screenshots go: RAWTUNE_PICTURES, else below the ignored folder of the checkout."""
    folder = Path(os.environ.get("RAWTUNE_PICTURES") or Path(__file__).resolve().parents[2] / ".rawtune/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_run_started_in_the_ui_with_changed_fields_completes(up: str, page: Page, tmp_path: Path):
    make_repository(tmp_path / "post")
    deployment = ask(f"{up}/api/deployments/name/retrain/dry-run")
    page.goto(f"{up}/deployments/deployment/{deployment['id']}/run")
    page.get_by_text("Name of the model that the run makes").wait_for(timeout=120_000)
    page.screenshot(path=str(pictures() / "form.png"))
    for before, after in (("dry-run", "pressed"), (".", str(tmp_path / "post"))):
        index = next(
            number for number, area in enumerate(page.locator("textarea").all()) if area.input_value() == before
        )
        page.locator("textarea").nth(index).fill(after)
    phase = page.locator("button", has_text=re.compile(r"^\s*publish\s*$")).last
    phase.scroll_into_view_if_needed()
    # Prefect's list opens on a key with its first choice marked, which is harvest
    phase.press("ArrowDown")
    page.locator(".p-select-option", has_text="harvest").wait_for()
    phase.press("Space")
    page.screenshot(path=str(pictures() / "form-end.png"))
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/(runs/flow-run|deployments/deployment)/"), timeout=60_000)

    deadline = time.monotonic() + 200
    found: list[Any] = []
    while not found or found[0]["state_type"] not in ("COMPLETED", "FAILED", "CRASHED"):
        assert time.monotonic() < deadline, found
        time.sleep(1)
        request = urllib.request.Request(f"{up}/api/flow_runs/filter", b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = json.load(answer)
    assert found[0]["state_type"] == "COMPLETED", found[0]["state"]
    assert found[0]["parameters"]["params"]["name"] == "pressed"
    page.goto(f"{up}/runs/flow-run/{found[0]['id']}")
    page.get_by_text("harvest/snapshot").first.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)
    page.screenshot(path=str(pictures() / "run.png"))
    path = tmp_path / "store" / "ledger" / found[0]["id"] / "run.json"
    report = RunReport.model_validate_json(path.read_text("utf-8"))
    assert [step.step for step in report.steps] == ["harvest/snapshot", "harvest/pulls", "harvest/wiki"]
    assert report.steps[0].artifact is not None
    assert report.steps[0].artifact["counts"]["records"] == 22
