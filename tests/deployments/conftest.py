"""What the drills stand on: a Prefect server on PostgreSQL, an emulated Lambda account, an environment for machines."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_WORKER_CANCELLATION_POLL_SECONDS,
    PREFECT_WORKER_QUERY_SECONDS,
    temporary_settings,
)

from deployments.lambda_cloud.boot import constraints_digest
from deployments.lambda_cloud.wheel import CHECKOUT, build_wheel, constraints_text, publish_wheel
from deployments.prefect.deploying import deployment
from deployments.prefect.pools import Pool, ensure_pool
from tasks.base.store import Store
from tests.deployments.drills import FIGURES, Drill
from tests.deployments.prefect_server import Postgres, PrefectServer
from tests.emulators.lambda_api import LambdaEmulator


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the money that the drills spent and what else they measured."""
    if FIGURES:
        terminalreporter.section("figures of the drills")
        for line in FIGURES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """The server that all drills share."""
    postgres = Postgres()
    try:
        running = PrefectServer(tmp_path_factory.mktemp("prefect"), postgres)
        yield running
        running.stop()
    finally:
        postgres.close()


@pytest.fixture(scope="session")
def machine_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a file system of prepared environments gives a machine: one made for today's pins.

    It borrows the packages of the environment that runs the tests; only rawtune's wheel is installed into it.
    """
    folder = tmp_path_factory.mktemp("machine") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / f".ready-{constraints_digest(constraints_text())}").touch()
    return folder


@pytest.fixture(scope="session")
def wheel(s3_bucket: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of this checkout's wheel in the tests' S3."""
    return publish_wheel(Store(f"{s3_bucket}/store"), build_wheel(CHECKOUT, tmp_path_factory.mktemp("wheel")))


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LambdaEmulator]:
    """An account with no waiting between calls."""
    with LambdaEmulator(tmp_path / "machines", request_seconds=0, launch_seconds=0) as emulator:
        yield emulator


@pytest.fixture
def pool(server: PrefectServer, machine_environment: Path, wheel: str, cloud: LambdaEmulator) -> Iterator[str]:
    """A pool and deployment of this test's own; the pool's name."""
    settings = {
        PREFECT_API_URL: server.url,
        PREFECT_HOME: server.folder / "home",
        PREFECT_WORKER_QUERY_SECONDS: 1,
        PREFECT_WORKER_CANCELLATION_POLL_SECONDS: 2,
    }
    name = f"gpu-{time.time_ns()}"
    with temporary_settings(settings), pytest.MonkeyPatch.context() as environment:
        environment.setenv("LAMBDA_API_URL", cloud.url)
        environment.setenv("LAMBDA_API_KEY", cloud.key)
        variables = {
            "wheel": wheel,
            "virtual_environment": str(machine_environment),
            "require_gpu": False,
            "poll_seconds": 0.5,
            "wind_up_seconds": 3,
            "env": {"PYTHONPATH": str(CHECKOUT), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"},
        }
        with get_client(sync_client=True) as client:
            ensure_pool(client, Pool(name, "lambda-cloud", "drill", 5, variables))
        made = deployment("tests.deployments.sample_flows.beating", name=name)
        made.apply(work_pool_name=name)
        yield name
        APILogWorker.drain_all(timeout=10)
        EventsWorker.drain_all(timeout=10)


@pytest.fixture
def drill(cloud: LambdaEmulator, pool: str, tmp_path: Path) -> Drill:
    return Drill(cloud, pool, tmp_path / "beats")
