"""Runs in one child: each backend in one process and in two, and one group that loses a process."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from tasks.model.child_main import Report
from tasks.training import job
from tasks.training.journal import read_lines
from tasks.training.params import TrainingParams, TrainingRequest

RECIPE = {"rank": 4, "alpha": 8, "learning_rate": 1e-3, "epochs": 3, "batch_size": 4, "precision": "float32"}


class Killed(Exception):
    pass


def attempt(
    request: dict[str, Any], folder: Path, backend: str, devices: int, stop_at: int = 0, **changes: Any
) -> dict[str, Any]:
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    reported: list[int] = []

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "step":
            reported.append(event["done"])
            if event["done"] == stop_at:
                raise Killed

    params = TrainingParams.model_validate(RECIPE | {"backend": backend, "devices": devices} | changes)
    answer = job.run(TrainingRequest.model_validate({
            "table": request["table"], "model": request["model"], "params": params.model_dump(mode="json"),
            "base_name": "tiny", "checkpoints": str(folder / "checkpoints"), "out": str(out),
        }), listen,
    )  # fmt: skip
    files = sorted(path.name for path in out.iterdir())
    return answer | {"lines": read_lines(out / "loss.jsonl"), "files": files, "steps_reported": reported}


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    folder, backend = Path(request["folder"]), request["backend"]
    made: dict[str, Any] = {"alone": attempt(request, folder / "alone", backend, 1)}
    with contextlib.suppress(Killed):
        attempt(request, folder / "pair", backend, 1, stop_at=2)
    made["pair"] = attempt(request, folder / "pair", backend, 2)
    made["difference"] = difference(folder / "alone" / "out", folder / "pair" / "out")
    shutil.rmtree(folder / "pair" / "checkpoints" / "step-00000004")
    return made | {"resumed": attempt(request, folder / "pair", backend, 1)}


def difference(first: Path, second: Path) -> float:
    """Largest distance between two adapters' weights."""
    from safetensors.torch import load_file

    one, two = (load_file(folder / "adapter_model.safetensors") for folder in (first, second))
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def split(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """One process with the whole base against two with half of it each, dropped and taken up again."""
    folder = Path(request["folder"])
    alone = attempt(request, folder / "alone", "trl", 1)
    pair = attempt(request, folder / "split", "auto", 2, shard_base=True)
    with contextlib.suppress(Killed):
        attempt(request, folder / "resumed", "trl", 1, stop_at=3)
    resumed = attempt(request, folder / "resumed", "trl", 2, shard_base=True)
    apart = difference(folder / "alone" / "out", folder / "split" / "out")
    return {"alone": alone, "pair": pair, "resumed": resumed, "difference": apart}


def recipe(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Trained embeddings and the divergence from the base, in one process and in two."""
    folder, changes = Path(request["folder"]), {"embedding_learning_rate": 1e-4, "kl_weight": 1.0, "kl_rows": "all"}
    alone, pair = (attempt(request, folder / str(count), "trl", count, **changes) for count in (1, 2))
    return {"alone": alone, "pair": pair, "difference": difference(folder / "1" / "out", folder / "2" / "out")}


def kill_one(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The second process is killed after a step, as the system does where memory runs out."""
    import psutil

    def kill(event: dict[str, Any]) -> None:
        if event["kind"] == "step":
            for other in psutil.Process().children():
                other.kill()

    params = TrainingParams.model_validate(RECIPE | {"backend": "fast", "devices": 2})
    folder = Path(request["folder"])
    (folder / "out").mkdir()
    return job.run(TrainingRequest.model_validate({
            "table": request["table"], "model": request["model"], "params": params.model_dump(mode="json"),
            "base_name": "tiny", "checkpoints": str(folder / "checkpoints"), "out": str(folder / "out"),
        }), kill,
    )  # fmt: skip


def summing(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Stretches of a gradient summed while memory runs out twice, in a group of one: what is summed first stays."""
    import torch

    from tasks.training import ranks

    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
    os.environ["WORLD_SIZE"] = "2"
    gradient = torch.zeros(4 * 3)
    summing = ranks.Summing(gradient, 4)
    summing.least = 4
    made = []
    for _ in range(2):
        for attempt, last in enumerate((3, 1, 0), 1):
            for part in range(3, last - 1, -1):
                gradient[3 * part : 3 * part + 3] += 10 * attempt + part
                summing.done(part)
            if last:
                summing.begin_again()
        summing.finish()
        made.append(gradient.tolist())
        gradient.zero_()
    return {"made": made}


def lose_one(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The second process ends by itself when it imports its job."""
    broken = Path(request["folder"]) / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import os\nif os.environ.get('RANK') == '1':\n    os._exit(7)\n", encoding="utf-8"
    )
    os.environ["PYTHONPATH"] = os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")])
    return attempt(request, Path(request["folder"]) / "lost", "fast", 2)
