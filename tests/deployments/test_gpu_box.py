"""The bootstrap of a lent machine: what it refuses, and that it becomes a worker of the pool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from deployments.lambda_cloud.wheel import CHECKOUT, constraints_text
from tests.deployments.prefect_server import PrefectServer

SCRIPT = CHECKOUT / "deployments/gpu_box.sh"
NOTEBOOK = CHECKOUT / "deployments/colab_worker.ipynb"


def box(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments], env=kept | environment, capture_output=True, text=True, timeout=250
    )


def test_box_without_a_server_says_what_is_missing():
    done = box()
    assert done.returncode == 2
    assert "PREFECT_API_URL is not set" in done.stderr


def test_box_without_pins_says_what_is_missing(tmp_path: Path):
    done = box(PREFECT_API_URL="http://127.0.0.1:1/api", CONSTRAINTS=str(tmp_path / "none.txt"))
    assert done.returncode == 2
    assert "constraints.txt" in done.stderr


@pytest.mark.slow
def test_box_becomes_a_worker_of_its_pool(server: PrefectServer, machine_environment: Path, tmp_path: Path):
    pins = tmp_path / "constraints.txt"
    pins.write_text(constraints_text())
    environment = tmp_path / "environment"
    shutil.copytree(machine_environment, environment, symlinks=True)
    done = box(
        "gpu-lent",
        PREFECT_API_URL=server.url,
        RAWTUNE_ENVIRONMENT=str(environment),
        CONSTRAINTS=str(pins),
        RAWTUNE=str(CHECKOUT),
        RAWTUNE_NEEDS_GPU="0",
        RAWTUNE_ONCE="1",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with (
        temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}),
        get_client(sync_client=True) as client,
    ):
        assert client.read_work_pool("gpu-lent").type == "process"


def test_notebook_has_five_cells_and_ends_in_the_script():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert len(cells) == 5
    assert "gpu_box.sh gpu-colab" in "".join(cells[-1]["source"])
    for cell in cells:
        assert not cell.get("outputs")
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "!" not in source:
            compile(source, "cell", "exec")
