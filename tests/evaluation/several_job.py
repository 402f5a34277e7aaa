"""Child jobs of the tests: several answer jobs, or several batch sizes, in one process, which saves starting torch for
each.
"""

from typing import Any

import torch

from tasks.evaluation.answer_job import answer, losses
from tasks.model.child_main import Report


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Answers of the requests in order, each with the number of progress events it sent."""
    done = []
    for one in request["requests"]:
        events: list[dict[str, Any]] = []
        done.append(answer(one, events.append) | {"events": len(events)})
    return {"answers": done}


def measure(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Losses of the rows by dtype, for each of `batch_tokens`."""
    from transformers import AutoModelForCausalLM

    measured = {}
    for dtype in request["dtypes"]:
        model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=getattr(torch, dtype)).eval()
        measured[dtype] = [
            losses(model, torch.device("cpu"), request["rows"], 0, tokens) for tokens in request["batch_tokens"]
        ]
    return {"losses": measured}
