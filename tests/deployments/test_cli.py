import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prefect.settings import PREFECT_API_URL

from tests.flows.sample_repository import git, make_repository

RAWTUNE = [sys.executable, "-c", "from deployments.cli import main; main()"]


def rawtune(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with no Prefect server to lean on."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.run(
        [*RAWTUNE, *arguments], cwd=cwd, env=surroundings | environment, capture_output=True, text=True, timeout=280
    )


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    """A preset over a small repository; its store is a folder beside it."""
    make_repository(tmp_path / "post")
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump({"name": "post", "sources": [{"repo": "post"}], "store": str(tmp_path / "store")}))
    return path


def test_retrain_until_harvest_prints_one_json_object(preset: Path, tmp_path: Path):
    done = rawtune("retrain", str(preset), "--until", "harvest", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [step["step"] for step in report["steps"]] == ["harvest/snapshot", "harvest/pulls", "harvest/wiki"]
    assert report["steps"][0]["artifact"]["counts"]["records"] == 22
    assert (report["decision"], report["report"], report["release"]) == (None, None, None)
    assert "Traceback" not in done.stderr
    shown = rawtune("show", "harvest/pulls", "--json", "--store", str(tmp_path / "store"), cwd=tmp_path)
    (document,) = json.loads(shown.stdout)
    assert document["first_records"][0]["title"] == "Weigh the parcel"
    again = rawtune("explain", str(preset), "--json", cwd=tmp_path)
    hits = {step["step"]: step["hit"] for step in json.loads(again.stdout)}
    assert hits["harvest/snapshot"]
    assert not hits["corpus/filter"]


BAD_PRESETS = {
    "unknown key": ({"trainign": {"rank": 8}}, "trainign: no such parameter"),
    "wrong type": ({"training": {"rank": "many"}}, "training.rank: Input should be a valid integer"),
    "out of bounds": ({"training": {"rank": 0}}, "training.rank: Input should be greater than or equal to 1, not 0"),
    "missing section": ({"sources": None}, "sources: Input should be a valid tuple"),
    "bad name": ({"name": "a/b"}, "name: String should match pattern"),
}


@pytest.mark.parametrize("case", BAD_PRESETS)
def test_retrain_bad_preset_is_one_line_and_exit_2(case: str, preset: Path, tmp_path: Path):
    change, message = BAD_PRESETS[case]
    preset.write_text(yaml.safe_dump(yaml.safe_load(preset.read_text()) | change))
    done = rawtune("retrain", str(preset), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    *steps, told = done.stderr.splitlines()
    assert message in told
    assert all(line.startswith("✔") for line in steps)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-preset"], "no such preset"),
        (["{preset}", "--set", "training.rank"], "write key.path=value"),
        (["{preset}", "--set", "sources.7.repo=x"], "no such place"),
        (["{preset}", "--until", "nowhere"], "nowhere"),
        (["{preset}", "--store", "{preset}"], "cannot be written"),
    ],
)
def test_retrain_bad_usage_is_told_and_exit_2(arguments: list[str], message: str, preset: Path, tmp_path: Path):
    done = rawtune("retrain", *(argument.format(preset=preset) for argument in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_retrain_empty_repository_is_one_line_and_exit_2(preset: Path, tmp_path: Path, prefect_harness: None):
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    server = str(PREFECT_API_URL.value())  # a server of one's own takes seconds, and the test above has one
    done = rawtune(
        *("retrain", str(preset), "--set", "sources.0.repo=empty", "--json"), cwd=tmp_path, PREFECT_API_URL=server
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "empty" in done.stderr


def test_show_unknown_room_names_what_there_is(tmp_path: Path):
    done = rawtune("show", "kitchen", "--store", str(tmp_path / "store"), cwd=tmp_path)
    assert done.returncode == 2
    assert "kitchen: nothing of that name" in done.stderr


def test_plan_prints_one_json_object_or_tables_and_spends_nothing(preset: Path, tmp_path: Path):
    options = [str(preset), "--set", "training.base_model=mistralai/Mistral-7B-Instruct-v0.2", "--gpu", "h100"]
    done = rawtune("plan", *options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["training"]["machine"] == "H100 SXM"
    assert made["training"]["precision"] == "fp8"
    assert 0 < made["training"]["usd"] == pytest.approx(made["training"]["hours"] * made["training"]["usd_per_hour"])
    shown = rawtune("plan", *options, cwd=tmp_path)
    assert shown.returncode == 0
    for part in ("dialogue-facts", "budget_usd", "peak memory", "because:", "max_usd 15: within", "nothing has been"):
        assert part in shown.stdout
    assert "Traceback" not in done.stderr + shown.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gpu", "abacus"], "--gpu abacus: not known; choose one of h100,"),
        (["--gpu", "t4", "--set", "training.rank=768"], "rank 768 with rows of"),
        (["--set", "synthesis.provider=openai"], "synthesis.model: the provider `openai` needs"),
    ],
)
def test_plan_bad_input_is_one_line_and_exit_2(options: list[str], message: str, preset: Path, tmp_path: Path):
    model = "training.base_model=mistralai/Mistral-7B-Instruct-v0.2"
    done = rawtune("plan", str(preset), "--set", model, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    *steps, told = done.stderr.splitlines()
    assert message in told
    assert all(line.startswith("✔") for line in steps)
