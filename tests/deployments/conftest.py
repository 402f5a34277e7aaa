"""What the drills stand on: a Prefect server on PostgreSQL, an emulated Lambda account, an environment for machines."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.lambda_cloud.boot import constraints_digest
from deployments.lambda_cloud.wheel import CHECKOUT, build_wheel, constraints_text, publish_wheel
from tasks.base.store import Store
from tests.deployments.prefect_server import Postgres, PrefectServer
from tests.emulators.lambda_api import LambdaEmulator


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
