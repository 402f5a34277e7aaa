"""Tokens/s, memory, loss and MFU of LoRA training on one GPU: TRL with PEFT, Unsloth as its notebooks set it, Unsloth
without recompute, and rawtune's own loop as `auto` sets it; the same rows, each in a process of its own, in one run.

    python tests/benchmarks/train_gpu.py --smoke          the same code with a tiny shape, on a CPU

The model has the shape of Mistral-7B-Instruct-v0.2 with random bf16 weights; adapters on all linear layers, alpha =
rank, dropout 0. Work `1` and `8`: so many rows of 8,192 random tokens a step. Work `packed`: one row a step, packed
from documents as long as those of a real repository; only their tokens count. The most wanted rows come first;
what does not fit into `--seconds` is left out and named, and every finished row is already in `--out`. `check` and
`unsloth-check` train a small model with every backend and precision and compare packed with unpacked losses.

On a machine without a network the libraries travel as wheels. There (in the repository's root, with pip):

    echo /.whl/ >> .git/info/exclude && python3 tests/benchmarks/gpu_wheels.py .whl     (about 20 MiB)

and on the GPU machine, with `.whl` carried along, within ten minutes:

    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl
    export PYTHONPATH=/tmp/site PYTHONUNBUFFERED=1
    python3 tests/benchmarks/train_gpu.py --seconds 540 --out $OUT/train_gpu.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.gpu_workload import MISTRAL_7B, SMOKE  # noqa: E402

ALL = ["1", "packed", "8"]
JOBS: list[tuple[str, int, list[str]]] = [
    ("unsloth", 64, ALL), ("ours", 64, ALL), ("unsloth", 768, ALL), ("ours", 768, ALL),
    ("unsloth-unchecked", 768, ALL), ("unsloth-unchecked", 64, ALL),
    ("check", 0, []), ("unsloth-check", 0, []),
    ("trl", 768, ["1", "8"]), ("trl", 64, ["1", "8"]), ("ours-bf16", 64, ["1"]),
]  # fmt: skip
"""Most wanted first."""
LEAST_SECONDS = 25
"""A job is not started with less time left."""
CROWDED_RANK = 512
"""Beside our own loop at such ranks nothing else may take memory of the card."""


class Child:
    """A variant's process; its results arrive while it runs."""

    def __init__(self, job: tuple[str, int, list[str]], options: list[str], log: Path) -> None:
        """Starts it; it imports its libraries and waits."""
        self.job, self.started = job, time.monotonic()
        self.name = f"{job[0]} {job[1]}"
        self._log = log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, __file__, *options, "--child", json.dumps(job)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip

    def finish(self, until: float, keep: Any) -> None:
        """Lets it measure, passes results on, ends it at `until` (monotonic seconds)."""
        went = time.monotonic()
        timer = threading.Timer(max(0.0, until - went), self.process.kill)
        timer.start()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("RESULT "):
                keep(json.loads(line.removeprefix("RESULT ")))
            elif line.startswith("CHECK "):
                print(line, end="", flush=True)
        code = self.process.wait()
        timer.cancel()
        self._log.close()
        ahead, took = went - self.started, time.monotonic() - went
        print(f"{self.name}: exit {code} after {took:.0f} s (started {ahead:.0f} s ahead)", flush=True)
        if code:
            print(Path(self._log.name).read_text("utf-8")[-1500:], flush=True)


def table(results: list[dict[str, Any]]) -> str:
    """Markdown, each variant beside Unsloth's default of the same rank and work; the loss of step 10 or the last."""
    base = {(one["rank"], one["work"]): one["tokens_per_second"] for one in results if one["variant"] == "unsloth"}
    lines = [
        "| work | rank | variant | tokens/s | × Unsloth | peak GiB | MFU | loss (step) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(results, key=lambda one: (ALL.index(one["work"]), -one["rank"], one["tokens_per_second"])):
        against = base.get((one["rank"], one["work"]))
        ratio = f"{one['tokens_per_second'] / against:.2f}" if against else ""
        step = min(10, len(one["losses"]))
        lines.append(
            f"| {one['work']} | {one['rank']} | {one['variant']} | {one['tokens_per_second']:,.0f} | {ratio} "
            f"| {one['peak_gib']:.1f} | {one['mfu']:.2f} | {one['losses'][step - 1]:.3f} ({step}) |"
        )
    return "\n".join(lines)


def chosen(arguments: argparse.Namespace) -> list[tuple[str, int, list[str]]]:
    """The jobs to run, the making of the model first where somebody must load it."""
    jobs = [job for job in JOBS if not arguments.only or job[0] in arguments.only]
    jobs = [job for job in jobs if not arguments.ranks or job[1] in arguments.ranks]
    if arguments.smoke:
        # TRL's own loss needs triton, which a CPU has not
        jobs = [(name, 8 if rank == 64 else 16, works) for name, rank, works in jobs if name != "trl"]
    if any(not name.startswith("ours") for name, _, _ in jobs) and not (arguments.folder / "config.json").exists():
        jobs.insert(0, ("make", 0, []))
    return jobs


def main() -> None:
    """Runs the jobs one after the other, the next one's imports beside the present one's work, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="variants")
    parser.add_argument("--ranks", nargs="*", type=int)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm/rawtune-bench"))
    parser.add_argument("--out", type=Path, default=Path("train_gpu.jsonl"))
    parser.add_argument("--seconds", type=float, default=3600, help="everything ends by then")
    parser.add_argument("--smoke", action="store_true", help="a tiny shape, on a CPU too")
    parser.add_argument("--child")
    arguments = parser.parse_args()
    if arguments.child:
        from tests.benchmarks.gpu_variants import run

        variant, rank, works = json.loads(arguments.child)
        run(variant, rank, works, SMOKE if arguments.smoke else MISTRAL_7B, arguments.folder)
        return
    until = time.monotonic() + arguments.seconds
    options = ["--folder", str(arguments.folder)] + (["--smoke"] if arguments.smoke else [])
    results: list[dict[str, Any]] = []

    def keep(result: dict[str, Any]) -> None:
        results.append(result)
        print(json.dumps(result), flush=True)
        with arguments.out.open("a") as writer:
            writer.write(json.dumps(result) + "\n")

    jobs = chosen(arguments)
    logs = Path(tempfile.mkdtemp())
    ahead: Child | None = None
    for number, job in enumerate(jobs):
        if until - time.monotonic() < LEAST_SECONDS:
            print("no time left for " + ", ".join(f"{name} {rank}" for name, rank, _ in jobs[number:]), flush=True)
            break
        child = ahead or Child(job, options, logs / f"log-{number}.txt")
        crowded = job[0].startswith("ours") and job[1] >= CROWDED_RANK
        ahead = None
        if number + 1 < len(jobs) and not crowded:
            ahead = Child(jobs[number + 1], options, logs / f"log-{number + 1}.txt")
        child.finish(until, keep)
    if ahead is not None:
        ahead.process.kill()
    print(table(results))


if __name__ == "__main__":
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", "/tmp/unsloth_compiled_cache")
    main()
