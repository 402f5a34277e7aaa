"""Study material by a real model on a CPU: killed while it writes it goes on to the same bytes, and a month later only
what changed is written about.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.base.artifacts import Manifest
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.synthesis.study.written import Written
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import git
from tests.flows.test_drills import await_file, finish, hashes, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGES = {
    "docs/kiln.md": "# Kiln\n\nThe kiln bakes tiles at 940 degrees.\nIt cools for 12 hours, as a hot tile cracks.\n"
    "Open the door with `open_kiln` once the lamp is green.\nThe night shift checks the lamp every hour.\n",
    "ovens/glaze.md": "# Glaze\n\nA glaze is mixed from 3 parts of sand and 2 parts of ash.\n"
    "Stir it with `stir_glaze`, because ash sinks to the bottom.\nA glaze older than 30 days is thrown away.\n"
    "The label on the bucket says when it was mixed.\n",
}


def written_of(store: Path) -> list[Manifest]:
    """The newest first."""
    return list(Store(str(store)).manifests("synthesis/written"))


@pytest.fixture
def preset(stub_model: Path, tmp_path: Path) -> Path:
    repository = tmp_path / "tiles"
    for name, text in PAGES.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text, "utf-8")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(repository))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "Bake tiles")
    document: dict[str, Any] = tiny_params(repository, stub_model, tmp_path / "unused").model_dump(mode="json")
    document["dataset"] |= {"validation_fraction": 0}
    document["synthesis"] |= {
        "methods": ["facts", "study"],
        "providers": {"study": "local"},
        "study": {
            "manners": ["summary", "why"],
            "questions": 1,
            "listing_tokens": 40,
            "answer_tokens": 32,
            "max_rejected": 1.0,
        },
    }
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_killed_while_writing_goes_on_to_the_same_bytes_and_a_month_later_writes_what_changed(
    preset: Path, tmp_path: Path
):
    whole = finish(start(preset, tmp_path / "whole", "--until", "dataset"))
    (first,) = written_of(tmp_path / "whole")
    assert first.resolved["found"] == 0
    assert first.counts["dialogues"] > 0
    assert whole["synthesis/dialogues"]["artifact"]["counts"]["written:study-why"] > 0
    told = Path(whole["mixture/data-report"]["artifact"]["uri"])
    study = json.loads((told / "summary.json").read_text("utf-8"))["study"]
    assert study["kinds"].keys() == {"study-summary", "study-why"}
    assert study["rejected"][0]["reason"] in (told / "report.html").read_text("utf-8")

    store = tmp_path / "killed"
    process = start(preset, store, "--until", "dataset")
    await_file(store, "cache/written/*/work/*/lists.log", process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not written_of(store)
    resumed = finish(start(preset, store, "--until", "dataset"))
    assert resumed["synthesis/calls"]["state"] == "Cached"
    assert hashes(resumed) == hashes(whole)

    page = tmp_path / "tiles" / "docs/kiln.md"
    page.write_text(page.read_text("utf-8") + "The chimney is swept in May.\n", "utf-8")
    git(tmp_path / "tiles", "commit", "--quiet", "--all", "-m", "Sweep the chimney", day=9)
    later = finish(start(preset, store, "--until", "dataset"))
    assert later["synthesis/written"]["state"] == "Completed"
    second, first = written_of(store)
    opened = Store(str(store))
    before, after = (
        {one.id: one for one in read_records(opened, opened.artifact(found), Written)} for found in (first, second)
    )
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {name for name in after if "/docs/kiln.md#" in name}
    assert second.resolved["found"] == len(after) - len(changed) > 0
