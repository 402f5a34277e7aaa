"""The replay stream from an emulated Hub by the real `datasets`, in a process of its own: both libraries read the Hub's
address when they are imported.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators.hub_api import HubEmulator
from tests.emulators.hub_api.repositories import Account

ROOT = Path(__file__).resolve().parents[2]
PUSH = """
import sys
from huggingface_hub import HfApi
api, name = HfApi(), "somebody/general"
api.create_repo(name, repo_type="dataset", exist_ok=True)
api.upload_file(path_or_fileobj=sys.argv[1], path_in_repo="train.jsonl", repo_id=name, repo_type="dataset")
"""
READ = """
import sys
from tasks.base.errors import InputError
from tasks.base.records import Dialogue
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.mixture.params import SourceParams
from tasks.mixture.replay.sources import replay_source
store = Store(sys.argv[1])
try:
    made = replay_source.direct(store, params=SourceParams(source="somebody/general", records=5, split=sys.argv[2]))
except InputError as error:
    print("InputError", error)
else:
    for record in read_records(store, made, Dialogue):
        print(record.line())
"""


def child(code: str, url: str, home: Path, *arguments: str) -> str:
    environment = os.environ | {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_write",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_OFFLINE": "0",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_dataset_on_the_hub_is_sampled_at_its_commit(tmp_path):
    source = tmp_path / "train.jsonl"
    records = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes."}]}
        for n in range(20)
    ]
    source.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    with HubEmulator({"hf_write": Account("somebody")}) as emulator:
        child(PUSH, emulator.url, tmp_path / "home", str(source))
        made = child(READ, emulator.url, tmp_path / "home", str(tmp_path / "store"), "train").splitlines()
        refused = child(READ, emulator.url, tmp_path / "home", str(tmp_path / "store"), "nosuch")
        commit = emulator.hub.repositories["datasets", "somebody/general"].branches["main"]
    dialogues = [json.loads(line) for line in made]
    assert len(dialogues) == 5
    assert {dialogue["provenance"]["revision"] for dialogue in dialogues} == {commit}
    assert dialogues[0]["id"].startswith("replay/somebody/general/")
    assert dialogues[0]["method"] == "somebody-general"
    assert refused.startswith("InputError dataset.replay.source: somebody/general is no file here")
