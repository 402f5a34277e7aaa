"""Job variables of a rented machine: what its environment holds, and how long its money lasts."""

from __future__ import annotations

import json
import uuid
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_HOME, temporary_settings
from upath import UPath

from deployments.lambda_cloud.job import LambdaJob, LambdaVariables
from deployments.lambda_cloud.rental import cost_usd
from deployments.lambda_cloud.wheel import constraints_text
from tasks.base.errors import BudgetError


def job(**changes: Any) -> LambdaJob:
    return LambdaJob.model_validate(LambdaVariables().model_dump() | changes)


def test_machine_gets_the_stores_credentials_and_nothing_of_the_workers_folders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("LAMBDA_API_KEY", "the account's")
    monkeypatch.setenv("GITHUB_TOKEN", "not needed there")
    run = FlowRun(id=uuid.uuid4(), flow_id=uuid.uuid4(), name="post")
    mine = job(env={"HF_ENDPOINT": "http://hub.example.org", "PREFECT_LOGGING_LEVEL": "DEBUG"})
    settings = {PREFECT_API_URL: "https://p.example.org/api", PREFECT_API_AUTH_STRING: "a:b", PREFECT_HOME: "/srv/home"}
    with temporary_settings(settings):
        mine.prepare_for_flow_run(run)
    environment = mine.environment()
    assert environment["PREFECT__FLOW_RUN_ID"] == str(run.id)
    assert environment["PREFECT_API_URL"] == "https://p.example.org/api"
    assert environment["PREFECT_API_AUTH_STRING"] == "a:b"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "hush"
    assert environment["HF_ENDPOINT"] == "http://hub.example.org"
    assert environment["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert not {"PREFECT_HOME", "LAMBDA_API_KEY", "GITHUB_TOKEN", "PATH"} & environment.keys()


@given(st.floats(0.1, 60), st.floats(0.5, 500), st.floats(0.1, 168))
def test_budget_is_never_exceeded_by_what_a_machine_costs_until_it_is_gone(price: float, usd: float, hours: float):
    mine = job(max_usd=usd, max_hours=hours)
    try:
        kept = mine.hours_at(price)
    except BudgetError:
        assert usd < price * 7 / 60
        return
    assert kept <= hours
    assert cost_usd(price, kept * 3600 + 60) <= usd + 1e-6


def test_budget_too_small_for_a_boot_is_refused():
    with pytest.raises(BudgetError, match=r"max_usd: \$0.2 pays 3 minutes at \$2.86"):
        job(max_usd=0.2).hours_at(2.86)


@pytest.mark.slow
def test_wheel_carries_a_list_of_every_pinned_package(wheel: str):
    with UPath(wheel).open("rb") as reader, ZipFile(reader) as packed:
        (name,) = [name for name in packed.namelist() if ".dist-info/sboms/" in name]
        listed = json.loads(packed.read(name))
    pins = {line.lower() for line in constraints_text().splitlines() if "==" in line and not line.startswith("#")}
    assert {f"{one['name']}=={one['version']}".lower() for one in listed["components"]} == pins
    assert listed["bomFormat"] == "CycloneDX"
