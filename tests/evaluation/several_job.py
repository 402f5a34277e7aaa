"""Child job of the tests: several answer jobs and several batch sizes in one process, which saves starting torch for
each.
"""

from typing import Any

import torch

from tasks.evaluation.answer_job import AnswerRequest, answer
from tasks.model.child_main import Report
from tasks.model.scoring import losses


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Answers of `requests` in order, each with the number of progress events it sent, and, if there are `rows`, their
    losses by dtype, for each of `batch_tokens`.
    """
    from transformers import AutoModelForCausalLM

    done = []
    for one in request["requests"]:
        events: list[dict[str, Any]] = []
        done.append(answer(AnswerRequest.model_validate(one), events.append) | {"events": len(events)})
    measured = {}
    for dtype in request.get("dtypes", ()):
        model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=getattr(torch, dtype)).eval()
        measured[dtype] = [losses(model, request["rows"], 0, tokens) for tokens in request["batch_tokens"]]
    return {"answers": done, "losses": measured}
