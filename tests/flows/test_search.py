"""A whole search with the tiny model: killed and resumed, its winner retrained on all data, repeated from the store."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.cli.running import run_search
from flows.params import Phase, RetrainParams
from tasks.base.ledger import RunReport
from tasks.base.records import Message
from tasks.base.store import Store
from tasks.release.feedback import keep_vote
from tests.flows.conftest import tiny_params
from tests.flows.test_drills import RAWTUNE, await_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


REPORT = "evaluation/report"


def steps(report: RunReport, name: str) -> list[Any]:
    return [one for one in report.steps if one.step == name]


def manifests(store: Path, name: str) -> dict[str, int]:
    """Key → when its manifest was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in store.glob(f"steps/{name}/*/manifest.json")}


def test_search_killed_and_resumed_retrains_the_winner_on_all_data(
    prefect_harness: None, tiny_model: Path, sample_repository: Path, tmp_path: Path
):
    import subprocess

    folder = tmp_path / "store"
    document = tiny_params(sample_repository, tiny_model, folder).model_dump(mode="json")
    document["dataset"]["train_tokens"] = 3000
    document["evaluation"]["loss_tokens"] = 500
    document["search"] = {
        "trials": 4, "rank": [4, 8], "alpha_ratio": [1.0], "batch_size": [1, 2], "learning_rate": [1e-4, 1e-2],
        "pruning": "none", "startup_trials": 2, "looks": 2,
    }  # fmt: skip
    vote = [Message(role="user", content="Who moved the parcels?"), Message(role="assistant", content="Ana did.")]
    keep_vote(Store(str(folder)), "post", "snapshot/x", "base", vote, liked=True)
    document["synthesis"]["feedback"] = f"{folder}/feedback/post"
    preset = tmp_path / "preset.yaml"
    preset.write_text(yaml.safe_dump(document))
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [*RAWTUNE, "search", str(preset), "--until", "train"]
    process = subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    await_file(folder, "steps/training/trial/*/manifest.json", process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = manifests(folder, "training/trial")

    params = RetrainParams.model_validate(document)
    report = run_search(params, Phase.TRAIN)
    after = manifests(folder, "training/trial")
    assert before.items() <= after.items()  # no finished trial was made again
    assert sorted(one.state for one in steps(report, "training/trial")) == ["Cached"] * len(before) + ["Completed"] * (
        4 - len(before)
    )
    (made,) = steps(report, "training/search-report")
    found = json.loads(Path(made.artifact["uri"], "trials.json").read_text())
    assert [one["state"] for one in found["trials"]] == ["complete"] * 4
    assert found["winner"]["value"] == min(one["value"] for one in found["trials"])
    assert all(len(one["looks"]) == 2 for one in found["trials"])
    chosen = report.resolved["search"]["training"]
    assert chosen["rank"] == found["winner"]["settings"]["rank"]
    assert Path(report.resolved["search"]["page"]).read_text("utf-8").count("<polyline") == 4 + 1
    assert all(one["general_loss"] is not None for one in found["trials"])
    assert found["winner"]["number"] in found["front"]  # without a bound the best is on it

    store = Store(params.store)
    apart, everything = (one.artifact["counts"] for one in steps(report, "mixture/assemble"))
    assert (apart.get("held_out_trained", 0), everything["held_out_trained"]) == (0, apart["held_out"])
    votes = {one.artifact["sha256"] for one in steps(report, "synthesis/feedback")}
    assert {one.artifact["counts"]["votes_trained"] for one in steps(report, "synthesis/feedback")} == {1}
    assert {made.inputs["dialogues"]["sha256"] for made in store.manifests("mixture/assemble")} == votes
    (trained,) = steps(report, "training/train")
    (manifest,) = store.manifests("training/train")
    assert trained.state == "Completed"
    assert {name: manifest.parameters["params"][name] for name in chosen} == chosen

    again = run_search(params, Phase.TRAIN)
    assert {one.state for one in again.steps} == {"Cached"}
    assert again.resolved["search"] == report.resolved["search"]


def test_search_by_recall_asks_every_trial_and_takes_the_best(
    prefect_harness: None, tiny_model: Path, sample_repository: Path, tmp_path: Path
):
    document = tiny_params(sample_repository, tiny_model, tmp_path / "store").model_dump(mode="json")
    document["dataset"]["train_tokens"] = 6000
    document["evaluation"] |= {"loss_tokens": 300, "items": 20, "max_new_tokens": 4, "general_items": 0}
    document["search"] = {
        "trials": 2, "sampler": "grid", "objective": "recall", "rank": [4, 8], "alpha_ratio": [], "batch_size": [],
        "looks": 1,
    }  # fmt: skip
    report = run_search(RetrainParams.model_validate(document), Phase.HARVEST)
    assert [one.state for one in steps(report, "evaluation/answer-base")] == ["Completed", "Cached"]
    assert [one.state for one in steps(report, "evaluation/answer-tuned")] == ["Completed"] * 2
    (made,) = steps(report, "training/search-report")
    found = json.loads(Path(made.artifact["uri"], "trials.json").read_text())
    summaries = [json.loads(Path(one.artifact["uri"], "summary.json").read_text()) for one in steps(report, REPORT)]
    assert [one["value"] for one in found["trials"]] == [
        one["arms"]["tuned"]["recall"]["estimate"] for one in summaries
    ]
    assert found["winner"]["value"] == max(one["value"] for one in found["trials"])
    assert not steps(report, "training/train")
