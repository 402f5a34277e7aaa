"""What the dry run costs: seconds and peak memory per step, and what orchestration adds to the same functions.

Run it on a quiet machine: `make bench`. It prints three tables:

1. a cold dry run as a user starts it, then the same again: seconds, state and peak memory per step;
2. wall time of both, split into steps, server start and the rest;
3. orchestration per run: the steps until the training table, through Prefect against a running server and called
   directly (`Step.direct`), with the converted model already in the store, so that noise of torch does not hide it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

TIMED = """
import json, sys, time
from deployments.cli import main
from tasks.base.progress import listening
def note(event):
    if event.kind != "progress":
        print(json.dumps([time.time(), event.step, event.kind]), file=sys.stderr)
with listening(note):
    main()
"""
"""The command line with a listener that prints when each step begins and ends."""

RUNS = 5
"""Repetitions of the third table; medians are printed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", default=".", help="git repository to run on")
    repo = parser.parse_args().repo
    with tempfile.TemporaryDirectory(prefix="rawtune-bench-") as folder:
        store = Path(folder) / "store"
        cold, warm = _dry_run(repo, store), _dry_run(repo, store)
        _print_steps(cold, warm)
        _print_walls(cold, warm)
        _print_overhead(repo, store, Path(folder))


def _dry_run(repo: str, store: Path) -> dict[str, Any]:
    """One `rawtune dry-run` in a process of its own, which tells when steps begin and end; its memory is sampled."""
    began = time.time()
    command = [sys.executable, "-c", TIMED, "dry-run", "--repo", repo, "--json", "--store", str(store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    samples: list[tuple[float, int]] = []
    sampler = threading.Thread(target=_sample, args=(process.pid, samples))
    sampler.start()
    answer, log = process.communicate()
    sampler.join()
    marks = [json.loads(line) for line in log.splitlines() if line.startswith("[")]
    return {"wall": time.time() - began, "report": json.loads(answer), "samples": samples, "marks": marks}


def _sample(pid: int, samples: list[tuple[float, int]]) -> None:
    """Resident memory of the process and everything below it, ten times a second, until it ends."""
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            samples.append((time.time(), sum(_resident(one) for one in [root, *root.children(recursive=True)])))
            time.sleep(0.1)
    except psutil.NoSuchProcess:
        return


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _print_steps(cold: dict[str, Any], warm: dict[str, Any]) -> None:
    print(f"{'step':<28}{'cold s':>9}{'peak MiB':>10}{'again s':>9}  state")
    began = {step: at for at, step, kind in cold["marks"] if kind == "started"}
    ended = {step: at for at, step, kind in cold["marks"] if kind == "finished"}
    for step, again in zip(cold["report"]["steps"], warm["report"]["steps"], strict=True):
        name = step["step"]
        during = [size for at, size in cold["samples"] if began[name] - 0.1 <= at <= ended[name] + 0.1]
        peak = max(during, default=0) / 2**20
        print(f"{name:<28}{step['seconds']:>9.2f}{peak:>10.0f}{again['seconds']:>9.2f}  {again['state']}")
    print(f"{'peak of the whole tree':<28}{'':>9}{max(size for _, size in cold['samples']) / 2**20:>10.0f}\n")


def _print_walls(cold: dict[str, Any], warm: dict[str, Any]) -> None:
    print(f"{'run':<10}{'wall s':>9}{'steps s':>9}{'rest of the flow s':>20}{'server and start s':>20}")
    for label, run in (("cold", cold), ("again", warm)):
        steps = sum(step["seconds"] for step in run["report"]["steps"])
        flow = run["report"]["seconds"]
        print(f"{label:<10}{run['wall']:>9.1f}{steps:>9.1f}{flow - steps:>20.2f}{run['wall'] - flow:>20.1f}")
    print()


def _print_overhead(repo: str, source: Path, folder: Path) -> None:
    from deployments.prefect.local_server import local_server

    with local_server(folder / "prefect"):
        through, direct = [], []
        for number in range(RUNS):
            through.append(_until_dataset(repo, _seeded(source, folder / f"through-{number}"), False))
            direct.append(_until_dataset(repo, _seeded(source, folder / f"direct-{number}"), True))
    ours, theirs = statistics.median(through), statistics.median(direct)
    print(f"until the training table, model converted before, median of {RUNS}:")
    print(f"  through Prefect {ours:.2f} s, directly {theirs:.2f} s, orchestration {ours - theirs:.2f} s")


def _seeded(source: Path, target: Path) -> Path:
    """A store that has the converted model and nothing else."""
    shutil.copytree(source / "steps" / "model", target / "steps" / "model")
    for path in target.rglob("manifest.json"):
        sha256 = json.loads(path.read_text())["sha256"]
        shutil.copytree(source / "cas" / sha256, target / "cas" / sha256)
    return target


def _until_dataset(repo: str, store: Path, directly: bool) -> float:
    from deployments.cli.running import run_retrain
    from deployments.presets import load_preset
    from flows.params import Phase
    from flows.resolve import resolve, scheduled_start
    from flows.retrain import workflow
    from tasks.base.store import Store

    params = load_preset("dry-run", [f"sources.0.repo={json.dumps(repo)}", f"store={json.dumps(str(store))}"])
    began = time.monotonic()
    with _direct_steps(directly):
        if directly:
            place = Store(params.store)
            workflow(place, params, resolve(place, params, scheduled_start()), Phase.DATASET)
        else:
            run_retrain(params, Phase.DATASET)
    return time.monotonic() - began


@contextmanager
def _direct_steps(directly: bool) -> Iterator[None]:
    from tasks.base.steps import Step

    if not directly:
        yield
        return
    with patch.object(Step, "__call__", Step.direct):
        yield


if __name__ == "__main__":
    main()
