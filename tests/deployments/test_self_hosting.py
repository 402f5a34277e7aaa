"""The commands that compose.yaml runs once per start, taken from it and run against a server on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from deployments.prefect.form import filled_in
from deployments.prefect.local_server import LEASES
from deployments.prefect.pools import POOLS
from tests.deployments.prefect_server import PrefectServer

DOCKER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))


def example_variables() -> set[str]:
    """Names that example.env sets or shows."""
    lines = (DOCKER / "example.env").read_text("utf-8").splitlines()
    return {line.lstrip("#").split("=")[0] for line in lines if "=" in line and " " not in line.split("=")[0]}


def test_compose_names_only_variables_that_the_example_explains():
    text = (DOCKER / "compose.yaml").read_text("utf-8")
    named = {part.split("}")[0].split(":")[0] for part in text.split("${")[1:]}
    assert named <= example_variables()


def test_compose_keeps_server_and_database_off_the_network():
    assert COMPOSE["services"]["server"]["ports"] == ["127.0.0.1:4200:4200"]
    assert "ports" not in COMPOSE["services"]["postgres"]


def test_compose_agrees_with_its_schema_and_images_are_clean():
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            str(DOCKER / "compose.yaml"),
        ],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    hadolint = Path(sys.executable).with_name("hadolint")
    for image in sorted(DOCKER.glob("*.Dockerfile")):
        linted = subprocess.run([str(hadolint), str(image)], capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout


def test_compose_server_keeps_leases_over_a_restart():
    server = COMPOSE["services"]["server"]
    assert server["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"] == LEASES
    (volume,) = server["volumes"]
    assert volume.split(":")[1] == "/home/rawtune/.prefect"


def test_compose_services_restart_and_are_watched():
    for name, service in COMPOSE["services"].items():
        assert service["restart"] == ("no" if name == "setup" else "unless-stopped")
    assert "HEALTHCHECK" in (DOCKER / "cpu.Dockerfile").read_text("utf-8")
    for name in ("cpu", "gpu"):
        lines = (DOCKER / f"{name}.Dockerfile").read_text("utf-8").splitlines()
        users = [line for line in lines if line.startswith("USER")]
        assert users[-1] == "USER 1000"


@pytest.mark.slow
def test_setup_commands_make_everything_and_nothing_twice(server: PrefectServer):
    script = COMPOSE["services"]["setup"]["command"][-1].replace("$$", "$")
    environment = server.environment | {
        "RAWTUNE_STORE": "s3://bucket/rawtune",
        "RAWTUNE_REPO": "acme/post",
        "RAWTUNE_WHEEL": "s3://bucket/rawtune/wheels/ab/rawtune.whl",
        "PATH": f"{Path(sys.executable).parent}:{server.environment['PATH']}",
    }
    for _ in range(2):
        done = subprocess.run(["sh", "-ec", script], cwd=DOCKER.parent, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    with (
        temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}),
        get_client(sync_client=True) as client,
    ):
        assert {pool.name for pool in client.read_work_pools()} >= {pool.name for pool in POOLS}
        rented = client.read_work_pool("gpu-lambda")
        assert rented.base_job_template["variables"]["properties"]["wheel"]["default"].endswith("rawtune.whl")
        monthly = client.read_deployment_by_name("retrain/researched")
        assert monthly.parameters == {"preset": "researched"}
        (schedule,) = monthly.schedules
        assert (schedule.slug, schedule.active) == ("monthly", False)
        filled = filled_in("researched")
        assert (filled.store, filled.sources[0].repo, filled.compute.pool) == (
            "s3://bucket/rawtune", "acme/post", "gpu-colab",
        )  # fmt: skip
        active = [one for found in client.read_deployments() for one in found.schedules if one.active]
        assert active == []
        assert client.read_global_concurrency_limit_by_name("gpu").limit == 1
        assert client.read_deployment_by_name("train-adapter/gpu-lambda").job_variables["max_usd"] == 15
        assert not client.read_deployment_by_name("publish-release/researched").schedules


@pytest.mark.slow
def test_slot_of_a_limit_outlives_a_restart_of_the_server(server: PrefectServer):
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}):
        with get_client(sync_client=True) as client:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="restarted", limit=1))
        with concurrency("restarted", strict=True, raise_on_lease_renewal_failure=False):  # as `gpu_slot` has it
            server.stop()
            server.start()
            with get_client(sync_client=True) as client:
                assert client.read_global_concurrency_limit_by_name("restarted").active_slots == 1
        with get_client(sync_client=True) as client:
            assert client.read_global_concurrency_limit_by_name("restarted").active_slots == 0
