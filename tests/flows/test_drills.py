"""`kill -9` at any moment, then run again: it goes on, nothing is corrupted, finished steps are not redone."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flows.conftest import Finished, tiny_params

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RAWTUNE = [sys.executable, "-c", "from deployments.cli import main; main()"]


def start(preset: Path, store: Path, *arguments: str) -> subprocess.Popen[str]:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [*RAWTUNE, "retrain", str(preset), "--json", "--store", str(store), *arguments]
    return subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, dict[str, Any]]:
    """The run's steps by name."""
    answer, errors = process.communicate()
    assert process.returncode == 0, errors
    return {step["step"]: step for step in json.loads(answer)["steps"]}


def hashes(steps: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: step["artifact"]["sha256"] for name, step in steps.items()}


def released(step: dict[str, Any]) -> dict[str, bytes]:
    """The files of a release but its card."""
    folder = Path(step["artifact"]["uri"])
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "README.md"
    }


def await_file(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)


def await_writing(store: Path, process: subprocess.Popen[str]) -> None:
    """Until a step of this process writes, or the process ended."""
    began = time.time()
    while process.poll() is None:
        try:
            if any(path.stat().st_mtime > began for path in store.glob("tmp/*")):
                return
        except FileNotFoundError:
            continue  # finished between the two calls
        time.sleep(0.05)


@pytest.fixture
def preset(tiny_model: Path, sample_repository: Path, tmp_path: Path) -> Path:
    document = tiny_params(sample_repository, tiny_model, tmp_path / "unused").model_dump(mode="json")
    document["training"] |= {"epochs": 2, "checkpoint_minutes": 0}
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_kill_while_training_resumes_to_the_same_adapter(preset: Path, tmp_path: Path):
    whole = finish(start(preset, tmp_path / "whole", "--until", "train"))

    store = tmp_path / "killed"
    process = start(preset, store, "--until", "train")
    await_file(store, "cache/training/*/step-*", process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    resumed = finish(start(preset, store, "--until", "train"))
    assert resumed["training/train"]["state"] == "Completed"
    assert {step["state"] for name, step in resumed.items() if name != "training/train"} == {"Cached"}
    assert hashes(resumed) == hashes(whole)
    assert not any((store / "tmp").iterdir())


@pytest.mark.timeout(1500)
def test_whole_run_killed_at_random_moments_ends_in_the_same_artifacts(
    finished: Finished, tiny_model: Path, sample_repository: Path, tmp_path: Path
) -> None:
    """From harvest through training to the release, whose card alone tells the seconds that the work took."""
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump(tiny_params(sample_repository, tiny_model, tmp_path).model_dump(mode="json")))
    whole = {step.step: {"artifact": step.artifact} for step in finished.report.steps if step.artifact}
    chance = random.Random(20241124)
    wanted, kills, moments = int(os.environ.get("RAWTUNE_KILLS", "5")), 0, []
    while kills < wanted:
        store, ended = tmp_path / f"killed-after-{kills}", False
        for _ in range(min(10, wanted - kills)):
            process = start(path, store)
            await_writing(store, process)
            try:
                process.communicate(timeout=chance.uniform(0, 12))
                ended = True
                break
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.communicate()
                kills += 1
                moments.append(len(list(store.glob("steps/*/*/*/manifest.json"))))
        again = finish(start(path, store))
        assert released(again.pop("release/publish")) == released(whole["release/publish"])
        assert hashes(again) == hashes({name: step for name, step in whole.items() if name != "release/publish"})
        assert {step["state"] for step in again.values()} <= ({"Cached"} if ended else {"Cached", "Completed"})
        assert not any((store / "tmp").iterdir())
    logging.getLogger(__name__).info("steps that were finished at each kill: %s", moments)
