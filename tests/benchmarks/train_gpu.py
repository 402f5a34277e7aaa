"""Tokens/s, memory, loss and MFU of LoRA training on one GPU: TRL with PEFT, Unsloth as its notebooks set it, Unsloth
without recompute, and rawtune's own loop as `auto` sets it; the same rows, each in a process of its own, in one run.

    python tests/benchmarks/train_gpu.py --smoke          the same code with a tiny shape, on a CPU

The models have the shapes of Mistral-7B, Qwen3-8B and Llama-3.1-8B with random bf16 weights; adapters on all linear
layers, alpha = rank, dropout 0. Work `1` and `8`: so many rows of 8,192 random tokens a step. Work `packed`: one row a
step, packed from documents as long as those of a real repository; only their tokens count. SmolLM2-135M's shape has
rows of 2,048, 16 a step, as the preset does. The most wanted rows come first; what does not fit into `--seconds` is
left out and named, and every finished row is already in `--out`. `make` alone makes the models that others load, so
that it can run beside something else. `check` and `unsloth-check` train a small model with every backend and precision
and compare packed with unpacked losses.

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

from tests.benchmarks.gpu_workload import WORKLOADS, smoke  # noqa: E402

Job = tuple[str, int, list[str], str]
"""Variant, rank, works, shape."""
MISTRAL, QWEN, LLAMA, STUB = WORKLOADS
WORKS = ["1", "packed", "16", "packed-16", "8"]
BOTH = ["packed", "1"]
JOBS: list[Job] = [
    ("unsloth", 64, BOTH, QWEN), ("ours", 64, BOTH, QWEN), ("ours", 256, ["16", "packed-16"], STUB),
    ("unsloth", 64, BOTH, LLAMA), ("ours", 64, BOTH, LLAMA), ("unsloth", 64, BOTH, MISTRAL),
    ("ours", 64, BOTH, MISTRAL), ("unsloth", 768, BOTH, QWEN), ("ours", 768, BOTH, QWEN),
    ("unsloth", 768, BOTH, MISTRAL), ("ours", 768, BOTH, MISTRAL), ("unsloth", 768, BOTH, LLAMA),
    ("ours", 768, BOTH, LLAMA),
    ("ours", 64, ["16", "packed-16"], STUB), ("unsloth-unchecked", 64, BOTH, MISTRAL),
    ("unsloth-unchecked", 768, BOTH, MISTRAL), ("check", 0, [], MISTRAL), ("unsloth-check", 0, [], MISTRAL),
    ("trl", 768, ["1", "8"], MISTRAL), ("trl", 64, ["1", "8"], MISTRAL), ("ours-bf16", 64, ["1"], MISTRAL),
]  # fmt: skip
"""Most wanted first."""
MADE = "tokenizer_config.json"
"""The last file of a model that was made."""
LEAST_SECONDS = 25
"""A job is not started with less time left."""
CROWDED_RANK = 512
"""Beside our own loop at such ranks nothing else may take memory of the card."""


class Child:
    """A variant's process; its results arrive while it runs."""

    def __init__(self, job: Job, options: list[str], log: Path) -> None:
        """Starts it; it imports its libraries and waits."""
        self.job, self.started = job, time.monotonic()
        self.name = f"{job[0]} {job[1]} {job[3]}"
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
    base = {
        (one["shape"], one["rank"], one["work"]): one["tokens_per_second"]
        for one in results
        if one["variant"] == "unsloth"
    }
    lines = [
        "| shape | work | rank | variant | tokens/s | × Unsloth | peak GiB | MFU | loss (step) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(
        results, key=lambda one: (one["shape"], WORKS.index(one["work"]), -one["rank"], one["tokens_per_second"])
    ):
        against = base.get((one["shape"], one["rank"], one["work"]))
        ratio = f"{one['tokens_per_second'] / against:.2f}" if against else ""
        step = min(10, len(one["losses"]))
        lines.append(
            f"| {one['shape']} | {one['work']} | {one['rank']} | {one['variant']} | {one['tokens_per_second']:,.0f} "
            f"| {ratio} | {one['peak_gib']:.1f} | {one['mfu']:.2f} | {one['losses'][step - 1]:.3f} ({step}) |"
        )
    return "\n".join(lines)


def chosen(arguments: argparse.Namespace) -> list[Job]:
    """The jobs to run, the making of a model before the first that must load it."""
    jobs = [job for job in JOBS if not arguments.only or job[0] in arguments.only or "make" in arguments.only]
    jobs = [job for job in jobs if not arguments.ranks or job[1] in arguments.ranks]
    jobs = [job for job in jobs if not arguments.shapes or job[3] in arguments.shapes]
    if arguments.smoke:
        # TRL's own loss needs triton, which a CPU has not
        jobs = [(name, rank // 16, works, shape) for name, rank, works, shape in jobs if name != "trl"]
    found: list[Job] = []
    for job in jobs:
        shape = job[3]
        loads = job[1] and not job[0].startswith("ours")
        make: Job = ("make", 0, [], shape)
        if loads and make not in found and not (arguments.folder / shape / MADE).exists():
            found.append(make)
        found.append(job)
    return [job for job in found if job[0] == "make"] if arguments.only == ["make"] else found


def main() -> None:
    """Runs the jobs one after the other, the next one's imports beside the present one's work, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="variants")
    parser.add_argument("--ranks", nargs="*", type=int)
    parser.add_argument("--shapes", nargs="*", choices=WORKLOADS)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm/rawtune-bench"))
    parser.add_argument("--out", type=Path, default=Path("train_gpu.jsonl"))
    parser.add_argument("--seconds", type=float, default=3600, help="everything ends by then")
    parser.add_argument("--smoke", action="store_true", help="a tiny shape, on a CPU too")
    parser.add_argument("--child")
    arguments = parser.parse_args()
    if arguments.child:
        from tests.benchmarks.gpu_variants import run

        variant, rank, works, shape = json.loads(arguments.child)
        work = WORKLOADS[shape]
        run(variant, rank, works, shape, smoke(work) if arguments.smoke else work, arguments.folder / shape)
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
            print(
                "no time left for " + ", ".join(f"{name} {rank} {shape}" for name, rank, _, shape in jobs[number:]),
                flush=True,
            )
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
