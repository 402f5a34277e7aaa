"""deployments/prefect.yaml: every deployment loads, and its parameters are those of its flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.workers.base import BaseWorker

from deployments.prefect.pools import POOLS
from flows.params import RetrainParams
from tasks.training.params import SearchParams, TrainingParams

FILE = Path(__file__).resolve().parents[2] / "deployments/prefect.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = DOCUMENT["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda entry: f"{entry['entrypoint']}-{entry['name']}")
def test_deployment_loads_and_its_parameters_are_its_flows(deployment: dict[str, Any]):
    flow = load_flow_from_entrypoint(deployment["entrypoint"])
    known = set(flow.parameters.properties)
    assert set(deployment["parameters"]) <= known
    assert deployment["work_pool"]["name"] in {pool.name for pool in POOLS}
    if deployment["work_pool"]["name"] == "cpu":
        assert deployment["concurrency_limit"]["limit"] == 1
    else:  # the pool's limit and `gpu` do it; a deployment's would end a paid training when the server restarts
        assert "concurrency_limit" not in deployment
    if "params" in known:
        RetrainParams.model_validate(deployment["parameters"]["params"])
    elif "training" in known:
        TrainingParams.model_validate(deployment["parameters"]["training"])


def test_only_retrain_is_scheduled_and_says_so_explicitly():
    scheduled = {entry["entrypoint"]: entry["schedules"] for entry in DEPLOYMENTS if entry["schedules"]}
    assert scheduled == {
        "flows.retrain.retrain": [{"slug": "monthly", "cron": "0 3 1 * *", "timezone": "UTC", "active": True}]
    }
    assert DOCUMENT["pull"] == []


@pytest.mark.parametrize("entrypoint", ["flows.train_adapter.train_adapter", "flows.trials.search_trials"])
def test_every_gpu_pool_has_deployments_of_its_name_for_training_and_trials(entrypoint: str):
    deployed = {entry["name"] for entry in DEPLOYMENTS if entry["entrypoint"] == entrypoint}
    assert deployed == {pool.name for pool in POOLS if pool.name.startswith("gpu-")}


def test_form_of_the_search_has_bounds_help_and_choices():
    schema = load_flow_from_entrypoint("flows.search_hyperparameters.search_hyperparameters").parameters.model_dump()
    search = schema["definitions"]["SearchParams"]["properties"]
    assert sorted(search, key=lambda name: search[name]["position"]) == list(SearchParams.model_fields)
    assert (search["trials"]["minimum"], search["looks"]["maximum"]) == (1, 100)
    assert search["rank"]["items"] == {"type": "integer", "minimum": 1, "maximum": 4096}
    assert schema["definitions"]["Sampler"]["enum"] == ["tpe", "grid"]


def test_every_pool_has_a_worker_type_here():
    assert {pool.type for pool in POOLS} <= set(BaseWorker.get_all_available_worker_types())


def test_form_of_retrain_keeps_declared_order_help_bounds_and_choices():
    schema = load_flow_from_entrypoint("flows.retrain.retrain").parameters.model_dump()
    definitions = schema["definitions"]
    sections = definitions["RetrainParams"]["properties"]
    assert sorted(sections, key=lambda name: sections[name]["position"]) == list(RetrainParams.model_fields)
    training = definitions["TrainingParams"]["properties"]
    assert training["rank"]["minimum"] == 1
    assert training["rank"]["maximum"] == 4096
    assert set(definitions["Backend"]["enum"]) >= {"auto", "trl"}
    undocumented = [
        f"{name}.{field}"
        for name, definition in definitions.items()
        if name.endswith("Params")
        for field, facts in definition.get("properties", {}).items()
        if "description" not in facts and "description" not in definitions.get(facts.get("$ref", "")[14:], {})
    ]
    assert undocumented == []
