"""Soft targets in one child: the formula and its gradients against torch's, and a training of each backend whose first
loss is what a plain computation with whole distributions says.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.model.child_main import Report
from tests.training.scenarios import attempt

TOP = 20


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    folder = Path(request["folder"])
    wanted = soften(folder / "table", Path(request["teacher"]), Path(request["model"]))
    made: dict[str, Any] = {"formulas": formulas(), "wanted": wanted}
    for backend in ("trl", "fast"):
        made[backend] = attempt(request | {"table": str(folder / "table")}, folder / backend, backend)
    return made


def soften(table: Path, teacher: Path, model: Path) -> dict[str, float]:
    """Gives the table's replay rows another model's distributions as soft targets.

    Returns:
        Sum over the soft targets of KL(teacher ‖ model) over whole distributions, of the same with everything but the
        likeliest in one bucket, and how many targets there are.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from tasks.model.scoring import top_logprobs

    rows = pq.read_table(table / "table.parquet").to_pydict()
    other, ours = (AutoModelForCausalLM.from_pretrained(each, dtype=torch.float32).eval() for each in (teacher, model))
    whole, bucketed, targets = 0.0, 0.0, 0
    columns: dict[str, list[Any]] = {"soft_ids": [], "soft_logprobs": []}
    for source, ids, labels in zip(rows["source"], rows["input_ids"], rows["labels"], strict=True):
        if not source.startswith("replay"):
            for column in columns.values():
                column.append(None)
            continue
        ((soft_ids, logprobs),) = top_logprobs(other, [ids], 0, TOP)
        columns["soft_ids"].append(soft_ids.ravel())
        columns["soft_logprobs"].append(logprobs.ravel())
        with torch.inference_mode():
            p, q = (each(torch.tensor([ids])).logits[0].double().softmax(-1) for each in (other, ours))
        for at in range(1, len(ids)):
            if labels[at] == -100:
                continue
            kept = torch.from_numpy(soft_ids[at]).long()
            p_rest, q_rest = 1 - p[at - 1, kept].sum(), 1 - q[at - 1, kept].sum()
            whole += float((p[at - 1] * (p[at - 1] / q[at - 1]).log()).sum())
            bucketed += float((p[at - 1, kept] * (p[at - 1, kept] / q[at - 1, kept]).log()).sum())
            bucketed += float(p_rest * (p_rest / q_rest).log())
            targets += 1
    kinds = {"soft_ids": pa.list_(pa.int32()), "soft_logprobs": pa.list_(pa.float32())}
    made = pq.read_table(table / "table.parquet")
    for name, column in columns.items():
        made = made.append_column(name, pa.array(column, kinds[name]))
    pq.write_table(made, table / "table.parquet")
    return {"whole": whole, "bucketed": bucketed, "targets": targets}


def formulas() -> dict[str, float]:
    """Largest differences: in place, frozen and trained output layer against autograd; all words kept against KL."""
    import torch

    from tasks.training import losses

    losses.CHUNK_LOGITS, chunk = 4 * 3 * 50, losses.CHUNK_LOGITS
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(8, 16, generator=generator), torch.randn(50, 16, generator=generator)
    base = torch.randn(8, 50, generator=generator).log_softmax(-1)
    scales = torch.arange(1.0, 9.0)
    found: dict[str, float] = {}
    best = base.topk(5, -1)
    plain = hidden.clone().requires_grad_()
    p, q = base.exp(), (plain @ weight.T).softmax(-1)
    rest_p, rest_q = (1 - each.gather(1, best.indices).sum(1) for each in (p, q))
    kl = (best.values.exp() * (best.values - q.gather(1, best.indices).log())).sum(1) + rest_p * (rest_p / rest_q).log()
    (kl * scales).sum().backward()
    for name, trained in (("frozen", False), ("trained", True)):
        ours, head = hidden.clone().requires_grad_(), weight.clone().requires_grad_(trained)
        made = losses.soft_losses(ours, head, best.indices, best.values)
        (made * scales).sum().backward()
        found[name] = float(max((made - kl).abs().max(), (ours.grad - plain.grad).abs().max()))
    logits = hidden @ weight.T
    made = losses.soft_divergences_(logits, best.indices, best.values, 2.0)
    straight = (hidden @ weight.T).requires_grad_()
    losses.soft_divergences(straight, best.indices, best.values).sum().backward()
    found["in place"] = float(max((made - kl).abs().max(), (logits / 2 - straight.grad).abs().max()))
    everything = base.topk(49, -1)
    full = (base.exp() * (base - (hidden @ weight.T).log_softmax(-1))).sum(1)
    all_but_one = losses.soft_divergences(hidden @ weight.T, everything.indices, everything.values)
    found["all words but one"] = float((all_but_one - full).abs().max())
    losses.CHUNK_LOGITS = chunk
    return found
