"""What is on the emulated Hub, used by the libraries that people use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.base.store import Store
from tasks.model.child import run_child
from tasks.release.params import ReleaseParams
from tasks.release.publish import ensure_published
from tests.emulators.hub_api import HubEmulator
from tests.release.conftest import FACTS, REPO, Adapter, Release, online

DATASETS = """
from datasets import Dataset, DatasetDict, load_dataset
made = DatasetDict({"train": Dataset.from_dict({"a": [1, 2, 3]}), "test": Dataset.from_dict({"a": [4]})})
made.push_to_hub("octocat/numbers", private=True)
again = load_dataset("octocat/numbers")
assert {name: part["a"] for name, part in again.items()} == {"train": [1, 2, 3], "test": [4]}, again
"""


@pytest.mark.slow
def test_published_release_loads_by_its_name_and_answers_as_trained(
    store: Store, made_whole: Release, adapter: Adapter, tiny_model: Path, emulator: HubEmulator, tmp_path: Path
) -> None:
    published = ensure_published(store, made_whole(1), ReleaseParams(repo_id=REPO), FACTS)
    found = run_child(
        "tests.release.reload_job:answers",
        {
            "repo_id": REPO,
            "revision": published.revision,
            "adapter": str(store.checkout(adapter(1))),
            "model": str(tiny_model),
            "questions": ["What is this?", "Where is it?", "Who made it?"],
        },
        environment=online(emulator, tmp_path),
    )
    assert found["loaded_from"] == REPO
    assert found["released"] == found["trained"]
    assert all(found["released"])


@pytest.mark.slow
def test_emulator_serves_the_real_datasets_library(emulator: HubEmulator, tmp_path: Path) -> None:
    environment = os.environ | online(emulator, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", DATASETS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert emulator.hub.repositories["datasets", "octocat/numbers"].private
