import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.emulators.github_api import Github, Issue
from tests.harvest.histories import moment


def run(preset: Path) -> subprocess.CompletedProcess[bytes]:
    command = [str(Path(sys.executable).with_name("rawtune")), "retrain", str(preset), "--until", "harvest", "--json"]
    return subprocess.run(command, capture_output=True, env=os.environ, check=False)


def retrain(preset: Path) -> dict[str, Any]:
    done = run(preset)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_retrain_until_harvest_reads_github_once(tmp_path: Path, github: Github) -> None:
    preset = tmp_path / "preset.yaml"
    preset.write_text(
        "name: town\nsources: [{repo: town/hall, issues: {}, discussions: {}, releases: {}}]\n"
        f"github: {{api_url: '{github.url}'}}\nstore: {tmp_path}/store\n"
    )
    github.hub.repositories[0].issues.append(Issue(500, "Broken", "It is.", moment(1), moment(1)))
    first = retrain(preset)
    before = len(github.requests)
    second = retrain(preset)

    steps = [f"harvest/{name}" for name in ("snapshot", "pulls", "issues", "discussions", "releases", "wiki")]
    assert [(item["step"], item["state"]) for item in first["steps"]] == [(name, "Completed") for name in steps]
    assert [(item["step"], item["state"]) for item in second["steps"]] == [(name, "Cached") for name in steps]
    assert first["steps"][1]["artifact"]["counts"] == {"records": 12}
    assert first["steps"][2]["artifact"]["counts"] == {"records": 1}
    assert first["resolved"]["sources"][0]["pulls"]["count"] == 12
    assert len(github.requests) - before <= 6
    assert "ghp_town" not in json.dumps([first, second])


@pytest.mark.slow
def test_retrain_with_one_repository_twice_is_bad_input_in_one_line(tmp_path: Path, github: Github) -> None:
    preset = tmp_path / "preset.yaml"
    preset.write_text(
        f"name: town\nsources: [{{repo: town/hall}}, {{repo: Town/Hall, as_of: 2023-01-05}}]\n"
        f"github: {{api_url: '{github.url}'}}\nstore: {tmp_path}/store\n"
    )
    done = run(preset)
    assert (done.returncode, done.stdout) == (2, b"")
    assert [line for line in done.stderr.decode().splitlines() if "sources" in line] == [
        "rawtune: sources: town/hall and Town/Hall would both be filed under Town/Hall;"
        " list a repository once, or give one of them another `name`"
    ]
    assert github.requests == []
