import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from prefect.settings import PREFECT_API_URL

from deployments.cli.doctor import DISK_GIB
from deployments.cli.init import LARGE, RENTED, write_preset
from deployments.presets import load_preset
from tasks.base.errors import InputError
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


@pytest.mark.slow
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
def test_bad_preset_is_told_in_one_line(case: str, tmp_path: Path):
    change, message = BAD_PRESETS[case]
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump({"name": "post", "sources": [{"repo": "post"}]} | change))
    with pytest.raises(InputError) as refused:
        load_preset(str(path))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_retrain_bad_preset_is_one_line_and_exit_2(preset: Path, tmp_path: Path):
    preset.write_text(yaml.safe_dump(yaml.safe_load(preset.read_text()) | {"trainign": {"rank": 8}}))
    done = rawtune("retrain", str(preset), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (told,) = done.stderr.splitlines()
    assert "trainign: no such parameter" in told
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


def test_init_writes_a_preset_of_at_most_25_lines_that_loads(tmp_path: Path):
    make_repository(tmp_path / "post")
    done = rawtune("init", str(tmp_path / "post"), "--gpu", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "post.yaml"
    assert len(made.read_text().splitlines()) <= 25
    params = load_preset(str(made))
    assert (params.name, params.sources[0].repo) == ("post", str(tmp_path / "post"))
    assert "rawtune plan post.yaml" in done.stdout
    again = rawtune("init", str(tmp_path / "post"), cwd=tmp_path)
    assert (again.returncode, "post.yaml is there already" in again.stderr) == (2, True)


def test_init_for_a_rented_gpu_carries_the_recipe_that_was_proven(tmp_path: Path) -> None:
    params = load_preset(str(write_preset("town/hall", LARGE, RENTED, tmp_path / "hall.yaml")))
    proven = load_preset("researched")
    assert params.synthesis.wordings == proven.synthesis.wordings == 16
    assert params.training.learning_rate == proven.training.learning_rate
    assert (params.training.rank, params.training.alpha) == (proven.training.rank, proven.training.alpha)


def test_doctor_says_what_is_missing_and_exits_1(tmp_path: Path):
    well = rawtune("doctor", cwd=tmp_path)
    is_full = (
        shutil.disk_usage(tmp_path).free < DISK_GIB * 2**30
    )  # of the machine that tests; nothing else may be wrong
    assert (well.returncode, "Traceback" in well.stderr) == (int(is_full), False), well.stdout
    assert [line.split()[1] for line in well.stdout.splitlines() if line.startswith("✘")] == ["disk"] * is_full
    sick = rawtune("doctor", "--pool", "gpu-lambda", "--store", "/dev/null/store", cwd=tmp_path)
    assert sick.returncode == 1
    assert "PREFECT_API_URL is not set, so there are no pools" in sick.stdout
    assert "cannot be written" in sick.stdout


def test_version_short_help_and_a_list_of_an_empty_store(tmp_path: Path):
    assert rawtune("--version", cwd=tmp_path).stdout == f"rawtune {version('rawtune')}\n"
    assert "Usage" in rawtune("retrain", "-h", cwd=tmp_path).stdout
    assert "rawtune dry-run fills it" in rawtune("show", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["show", "corpus", "--store", "s3://nowhere/x"], {}, "--store s3://nowhere/x: cannot be read"),
        (["show", "corpus", "--store", "gopher://x"], {}, "--store gopher://x: cannot be read"),
        (["retrain", "{preset}"], {"PREFECT_API_URL": "http://user:secret@127.0.0.1:9/api"}, "server at 127.0.0.1:9 "),
        (["ask", "Who?", "--model", "tunde"], {}, "--model tunde: a release has the models tuned and base"),
        (["plan", "{preset}", "--set", "training.base_model=acme/none", "--gpu", "h100"], {}, "Hub cannot be reached"),
        (["deploy", "{preset}"], {}, "PREFECT_API_URL is not set"),
    ],
)
def test_what_cannot_be_reached_is_one_line_and_exit_2(
    arguments: list[str], environment: dict[str, str], message: str, preset: Path, tmp_path: Path
):
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    nothing["HF_ENDPOINT"] = "http://127.0.0.1:9"
    filled = [argument.format(preset=preset) for argument in arguments]
    done = rawtune(*filled, cwd=tmp_path, **(nothing | environment))
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
