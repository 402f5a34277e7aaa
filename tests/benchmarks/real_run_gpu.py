"""The GPU machine's side of `real_run.py`: the requests that `prepare` wrote, one after the other."""

from __future__ import annotations

import argparse
import json
import time
from typing import Final

JOBS: Final = {"replay": "tasks.mixture.replay.job:answer", "train": "tasks.training.job:run"}
"""What runs a request; the rest are answers."""
MODEL, TABLE, ADAPTER, SCRATCH = "{MODEL}", "{TABLE}", "{ADAPTER}", "{SCRATCH}"
"""Places in a request that only the GPU machine can fill in."""


def gpu(arguments: argparse.Namespace) -> None:
    """Runs every job that has no answer yet. The model is made from the halves unless `--model` has it already."""
    from tasks.model.child import run_child

    scratch, results = arguments.scratch, arguments.results
    results.mkdir(parents=True, exist_ok=True)
    if not (arguments.model / "config.json").exists():
        whole = scratch / "gguf" / "model.gguf"
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(b"".join((arguments.work / name / "part").read_bytes() for name in ("model-a", "model-b")))
        run_child("tasks.model.convert:stub_from_gguf", {"gguf": str(whole), "target": str(arguments.model)})
    for recipe in arguments.recipes:
        # the tuned arm right after its training: if the machine's time ends, what can only be had there is had
        for name in ("replay", "train", "answer-tuned", "answer-base", "answer-base-retrieval"):
            target, folder = results / f"{recipe}.{name}.json", arguments.work / "jobs" / recipe / name
            if target.exists() or not folder.exists():
                continue
            adapter = scratch / recipe / "adapter"
            adapter.mkdir(parents=True, exist_ok=True)
            places = {
                MODEL: arguments.model,
                ADAPTER: adapter,
                SCRATCH: scratch / recipe,
                TABLE: folder.parent / "table",
            }
            request = json.loads((folder / "request.json").read_text())
            for key, value in request.items():
                if isinstance(value, str):
                    for place, path in places.items():
                        value = value.replace(place, str(path))
                    request[key] = str(folder / value) if key in ("prompts", "rows") else value
            started = time.monotonic()
            answer = run_child(JOBS.get(name, "tasks.evaluation.answer_job:answer"), request)
            if name == "train":
                answer["loss.jsonl"] = (adapter / "loss.jsonl").read_text()
                answer["adapter_config.json"] = (adapter / "adapter_config.json").read_text()
            target.write_text(json.dumps(answer))
            print(f"{recipe} {name}: {time.monotonic() - started:.1f} s", flush=True)
