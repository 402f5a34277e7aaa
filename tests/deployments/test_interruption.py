"""Ctrl-C in every phase of a run: one line, exit 130, within seconds; the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tasks.release.folder import check_publishable
from tests.deployments.test_cli import RAWTUNE, rawtune
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import make_repository

PHASES = ("Prefect server", "corpus/split", "training/train", "evaluation/answer-tuned")
"""The run is interrupted once this has begun, which its store or its standard error tells."""


def begun(phase: str, store: Path, log: Path) -> bool:
    if phase == "Prefect server":
        return (store / "prefect" / "server.log").exists()
    return (store / "steps" / before(phase)).exists()


def before(phase: str) -> str:
    """The step whose artifact is there when the phase begins."""
    follows = {"corpus/split": "harvest/pulls", "training/train": "mixture/leak-guard"}
    return (follows | {"release/publish": "evaluation/report"}).get(phase, "training/train")


def interrupt(arguments: list[str], folder: Path, phase: str, twice: bool = False) -> tuple[int, float, str]:
    """Starts the command, presses Ctrl-C in that phase, and returns exit code, seconds until the end and stderr. What
    publishes is killed instead.
    """
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    log = folder / f"{phase.replace('/', '-')}.log"
    with log.open("wb") as writer:
        process = subprocess.Popen([*RAWTUNE, *arguments], cwd=folder, env=surroundings, stderr=writer, stdout=writer)
        deadline = time.monotonic() + 240
        while not begun(phase, folder / "store", log):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.05)
        is_publishing = phase == "release/publish"
        time.sleep(0 if is_publishing else 0.7)
        pressed = time.monotonic()
        process.send_signal(signal.SIGKILL if is_publishing else signal.SIGINT)
        if twice:
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        code = process.wait(60)
    return code, time.monotonic() - pressed, log.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_ends_a_run_within_five_seconds_in_every_phase_and_the_next_goes_on(tmp_path: Path, tiny_model: Path):
    repository = make_repository(tmp_path / "post")
    params = tiny_params(repository, tiny_model, tmp_path / "store").model_dump(mode="json")
    preset = tmp_path / "preset.yaml"
    preset.write_text(yaml.safe_dump(params))
    for number, phase in enumerate(PHASES):
        code, seconds, told = interrupt(["retrain", str(preset)], tmp_path, phase, twice=number % 2 == 1)
        assert code == 130, (phase, told)
        assert seconds < 5, (phase, seconds, told)
        assert told.endswith("rawtune: interrupted; run again to go on\n"), (phase, told)
        assert "Traceback" not in told, (phase, told)
        assert "Error logging to API" not in told, (phase, told)
    assert interrupt(["retrain", str(preset)], tmp_path, "release/publish")[0] == -signal.SIGKILL
    done = rawtune("retrain", str(preset), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    states = {step["step"]: step["state"] for step in told["steps"]}
    assert states["training/train"] == states["evaluation/report"] == "Cached"
    assert states["release/publish"] in ("Completed", "Cached")
    check_publishable(Path(told["release"]))


def test_ctrl_c_while_c_code_runs_ends_the_process_all_the_same(tmp_path: Path):
    code = (
        "import hashlib\n"
        "from deployments.interruption import on_interrupt\n"
        "on_interrupt()\n"
        "print('ready', flush=True)\n"
        "hashlib.pbkdf2_hmac('sha256', b'password', b'salt', 200_000_000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)  # until it is in C code
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "rawtune: interrupted; run again to go on\n")
