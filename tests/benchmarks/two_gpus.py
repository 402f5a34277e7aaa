"""Two GPUs of one machine against one, through the training job itself: speed and loss curve of `fast` on packed rows,
runs taken up by another number of processes, a base split over both, and a process that is killed.

    python tests/benchmarks/two_gpus.py --seconds 220 --out two.jsonl        (--smoke: tiny, on a CPU with gloo)

Speed: Mistral-7B's shape with random weights in FP8, rows of 8,192 tokens packed as a repository's documents, from the
end of the third step to that of the last. Both runs with one process go at the same time, on a GPU each. Four layers of
that width are measured first, then the rest is done with them; all 32 come last, since loading them alone can take
minutes. Each part is a process with a limit of its own, so that a hang costs no more than that;
every finished part is one line in `--out`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.gpu_workload import MISTRAL_7B, Workload, make_model, smoke, write_table  # noqa: E402

WARM: Final = 3
"""Steps that are not timed."""
LARGE, SMALL = "7b", "four-layers"


class Stopped(Exception):
    """Raised out of a run at the step at which it is to end."""


def workload(name: str, tiny: bool) -> Workload:
    """A shape, in its tiny form for a CPU."""
    work = MISTRAL_7B if name == LARGE else replace(MISTRAL_7B, config=MISTRAL_7B.config | {"num_hidden_layers": 4})
    return smoke(work) if tiny else work


def train(
    folder: Path, model: Path, devices: int, stop_at: int = 0, told: Callable[[int], None] | None = None, **recipe: Any
) -> dict[str, Any]:
    """One run of the job with checkpoints in `folder`, over the table beside it; broken off after step `stop_at`.

    Returns:
        `losses` and `clock` (seconds) by step, `tokens` by step, `answer` of the job (null where it was broken off).
    """
    from tasks.training import job
    from tasks.training.journal import read_lines
    from tasks.training.params import TrainingParams, TrainingRequest

    out = folder / "out"
    out.mkdir(exist_ok=True, parents=True)
    made: dict[str, Any] = {"losses": {}, "clock": {}, "notes": [], "answer": None}

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "note":
            made["notes"].append(event["text"])
        if event["kind"] == "step":
            made["clock"][event["done"]] = time.perf_counter()
            made["losses"][event["done"]] = event["facts"]["loss"]
            if told:
                told(event["done"])
            if event["done"] == stop_at:
                raise Stopped

    params = TrainingParams.model_validate(
        {"alpha": recipe["rank"], "learning_rate": 1e-4, "schedule": "constant", "warmup_fraction": 0, "epochs": 1,
         "backend": "fast", "devices": devices, "max_general_loss": None} | recipe
    )  # fmt: skip
    with contextlib.suppress(Stopped):
        request = TrainingRequest.model_validate(
            {"table": str(folder.parent / "table"), "model": str(model), "params": params.model_dump(mode="json"),
             "base_name": "random", "checkpoints": str(folder / "checkpoints"), "out": str(out)}
        )  # fmt: skip
        made["answer"] = job.run(request, listen)
        # also the steps that an earlier attempt made
        made["losses"] = {line["step"]: line["loss"] for line in read_lines(out / "loss.jsonl")}
    return made


def speed(where: Path, tiny: bool, layers: int, rank: int, devices: int, batch: int, steps: int) -> dict[str, Any]:
    """Tokens/s of `devices` processes; `layers`: 4, or 0 for all."""
    from tasks.training.table import Table, row_order

    name = SMALL if layers else LARGE
    folder = where / f"speed-{name}-{rank}-{devices}-{batch}"
    table = folder / "table"
    write_table(workload(name, tiny), "packed", batch * steps, table)
    recipe = {"rank": rank, "batch_size": batch, "seed": 42, "precision": "auto" if tiny else "fp8"}
    began = time.perf_counter()
    # the last step is broken off: a checkpoint of rank 768 is 20 GB
    made = train(folder / "run", where / name, devices, stop_at=steps, **recipe)
    lengths, order = Table(table).lengths(), row_order(batch * steps, 1, 42)
    tokens = sum(lengths[row] for row in order[WARM * batch :])
    seconds = made["clock"][steps] - made["clock"][WARM]
    return {
        "layers": layers, "rank": rank, "processes": devices, "rows_a_step": batch, "steps": steps,
        "tokens_per_second": tokens / seconds,
        "seconds_to_first_step": made["clock"][1] - began, "losses": list(made["losses"].values()),
        "notes": made["notes"], "peak_gib": _peak(),
    }  # fmt: skip


def resume(where: Path, tiny: bool) -> dict[str, Any]:
    """One process through; one, two, and one again from each other's checkpoints; two through. `auto` looks before FP8,
    once: what it found is in the checkpoints.
    """
    rows, steps = 24, 6
    table = where / "resume" / "table"
    write_table(workload(SMALL, tiny), "packed", rows, table)
    recipe = {"rank": 16, "batch_size": 4, "checkpoint_minutes": 0, "precision": "auto"}

    def attempt(name: str, devices: int, stop_at: int = 0) -> dict[str, Any]:
        return train(where / "resume" / name, where / SMALL, devices, stop_at, **recipe)

    alone = attempt("alone", 1)
    again = attempt("again", 1)  # how far a GPU is from itself
    both = attempt("both", 2)
    found = {
        "losses": list(alone["losses"].values()), "two_apart": _apart(alone, both),
        "one_again_apart": _apart(alone, again), "look": alone["notes"],
        "resolved": both["answer"]["resolved"] | {"precision_look": None},
    }  # fmt: skip
    _say(found)
    attempt("turns", 1, stop_at=3)
    attempt("turns", 2, stop_at=5)
    turns = attempt("turns", 1)
    assert turns["answer"]["resolved"]["resumed_at"] == 4, turns["answer"]
    assert len(turns["losses"]) == steps
    return found | {"turns_apart": _apart(alone, turns)}


def split(where: Path, tiny: bool) -> dict[str, Any]:
    """TRL with the base split over two processes, and with all of it in one."""
    table = where / "split" / "table"
    write_table(workload(SMALL, tiny), "packed", 8, table)
    recipe = {"rank": 64, "batch_size": 2, "backend": "trl", "precision": "auto" if tiny else "bfloat16"}
    alone = train(where / "split" / "alone", where / SMALL, 1, **recipe)
    pair = train(where / "split" / "pair", where / SMALL, 2, shard_base=True, **recipe)
    resolved = pair["answer"]["resolved"]
    return {
        "losses": list(alone["losses"].values()), "two_apart": _apart(alone, pair), "resolved": resolved,
        "share_of_base": resolved["share_of_base"],
        "peak_gib": [one["answer"]["resolved"].get("measured_peak_bytes", 0) / 2**30 for one in (alone, pair)]
        if not tiny
        else None,
    }  # fmt: skip


def lose(where: Path, tiny: bool) -> dict[str, Any]:
    """Two processes; the second is killed after the third step. The first ends itself (see `ranks.py`), so what is
    written here is when, and the parent reads it.
    """
    import psutil

    table = where / "lose" / "table"
    write_table(workload(SMALL, tiny), "packed", 200, table)

    def kill(step: int) -> None:
        if step == 3:
            print(f"KILLED {time.time()}", flush=True)
            for other in psutil.Process().children():
                other.send_signal(signal.SIGKILL)

    train(where / "lose" / "run", where / SMALL, 2, told=kill, rank=64, batch_size=2)
    return {"error": "the run came to its end"}


def _apart(one: dict[str, Any], other: dict[str, Any]) -> list[float]:
    """Differences of two loss curves, nats per target, by step."""
    assert one["losses"].keys() == other["losses"].keys()
    return [round(abs(loss - other["losses"][step]), 6) for step, loss in one["losses"].items()]


def _peak() -> float:
    import torch

    return float(torch.cuda.max_memory_allocated() / 2**30) if torch.cuda.is_available() else 0.0


class Part:
    """A part in a process of its own."""

    def __init__(self, name: str, arguments: argparse.Namespace, gpu: int | None = None, **options: int) -> None:
        """Starts it; `gpu`: it sees this one alone."""
        self.name, self.options, self.began = name, options, time.monotonic()
        self.log = arguments.where / f"log-{name}-{'-'.join(map(str, options.values()))}.txt"
        command = [sys.executable, __file__, "--part", name, "--options", json.dumps(options)]
        command += ["--where", str(arguments.where)] + ["--smoke"] * arguments.smoke
        seen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": str(gpu)}
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | seen, start_new_session=True
            )

    def result(self, until: float) -> dict[str, Any]:
        """What it found, or how it ended; at `until` it and all that it started are killed."""
        fact: dict[str, Any] = {"part": self.name} | self.options
        try:
            code: int | str = self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = "no time left"
        ended = time.time()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        lines = self.log.read_text("utf-8", "replace").splitlines()
        fact |= {"exit": code, "part_seconds": round(time.monotonic() - self.began, 1)}
        for line in lines:
            if line.startswith("FOUND "):
                fact |= json.loads(line.removeprefix("FOUND "))
            if line.startswith("KILLED "):
                fact["seconds_after_kill"] = round(ended - float(line.removeprefix("KILLED ")), 2)
        return fact if code == 0 else fact | {"last_lines": [line[:300] for line in lines[-12:]]}


def main() -> None:
    """Runs the parts, the most wanted first, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("two_gpus.jsonl"))
    parser.add_argument("--where", type=Path, default=Path(tempfile.gettempdir()) / "rawtune-two", help="gets 15 GB")
    parser.add_argument("--seconds", type=float, default=3600, help="everything ends by then")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--part")
    parser.add_argument("--options", type=json.loads, default={})
    arguments = parser.parse_args()
    arguments.where.mkdir(parents=True, exist_ok=True)
    if arguments.part:
        _do(arguments)
        return
    until = time.monotonic() + arguments.seconds
    arguments.where = Path(tempfile.mkdtemp(dir=arguments.where))
    results: list[dict[str, Any]] = []

    def finish(*parts: Part, most: float) -> None:
        late = min(until, time.monotonic() + most)
        for part in parts:
            results.append(part.result(late))
            with arguments.out.open("a") as writer:
                writer.write(json.dumps(results[-1]) + "\n")
            print(json.dumps(results[-1])[:1500], flush=True)

    ranks = (4, 16) if arguments.smoke else (64, 768)

    def measure(layers: int, steps: int) -> None:
        options = {"layers": layers, "batch": 2, "steps": steps}
        alone = [Part("speed", arguments, gpu, rank=rank, devices=1, **options) for gpu, rank in enumerate(ranks)]
        finish(*alone, most=60)
        for rank in ranks:
            finish(Part("speed", arguments, rank=rank, devices=2, **options), most=50)

    finish(Part("make", arguments, 0, layers=4), most=60)
    measure(4, 43)
    # the large model is made beside what is not timed
    large = Part("make", arguments, 0, layers=0)
    finish(*(Part(name, arguments) for name in ("lose", "resume", "split")), most=85)
    finish(large, most=60)
    measure(0, 11)
    if until - time.monotonic() > 45:  # as the presets have it: 16 rows a step
        finish(Part("speed", arguments, layers=0, rank=ranks[0], devices=2, batch=16, steps=5), most=60)
    print(summary(results))
    logs = sorted(arguments.where.glob("log-*.txt"))
    arguments.out.with_suffix(".log").write_text("".join(f"== {log.name}\n{log.read_text('utf-8')}" for log in logs))
    shutil.rmtree(arguments.where)


def summary(results: list[dict[str, Any]]) -> str:
    """One line a model and rank: one process, two, how many times, and how far the loss curves are apart."""
    lines = []
    speeds = [one for one in results if "tokens_per_second" in one]
    for pair in (one for one in speeds if one["processes"] == 2):
        same = [one for one in speeds if all(one[key] == pair[key] for key in ("layers", "rank"))]
        for one in (one for one in same if one["processes"] == 1):
            line = f"{pair['layers'] or 32} layers, rank {pair['rank']}, {pair['rows_a_step']} rows a step: "
            line += f"{one['tokens_per_second']:,.0f} tokens/s"
            line += f" alone (2 rows a step), {pair['tokens_per_second']:,.0f} in two: "
            line += f"{pair['tokens_per_second'] / one['tokens_per_second']:.3f} times"
            if pair["rows_a_step"] == one["rows_a_step"]:
                apart = max(abs(a - b) for a, b in zip(one["losses"], pair["losses"], strict=True))
                line += f"; losses at most {apart:.4f} nats apart"
            lines.append(line)
    return "\n".join(lines)


def _do(arguments: argparse.Namespace) -> None:
    """One part, in its own process."""
    where, tiny, options = arguments.where, arguments.smoke, arguments.options
    if arguments.part == "make":
        name = SMALL if options["layers"] else LARGE
        make_model(workload(name, tiny), where / name)
        found: dict[str, Any] = {"bytes": sum(path.stat().st_size for path in (where / name).iterdir())}
    else:
        found = {"speed": speed, "resume": resume, "split": split, "lose": lose}[arguments.part](where, tiny, **options)  # type: ignore[operator]
    _say(found)


def _say(found: dict[str, Any]) -> None:
    print("FOUND " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
