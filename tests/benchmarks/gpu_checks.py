"""What `train_gpu.py` checks besides speed, on a small model: a document's losses in a packed row are those it has
alone, and every backend trains in every precision that the machine has, on as many targets as planned.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu_workload import CHECK, make_model, write_table

RECIPES = {"own": [("fast", "fp8"), ("fast", "bfloat16"), ("trl", "bfloat16"), ("trl", "nf4")],
           "unsloth": [("unsloth", "bfloat16"), ("unsloth", "nf4")]}  # fmt: skip
ROWS = 6


def check(which: str) -> Iterator[dict[str, Any]]:
    """Facts, one JSON object each; a backend that cannot run here says why."""
    folder = Path(tempfile.mkdtemp())
    make_model(CHECK, folder / "model")
    import torch

    torch.set_default_dtype(torch.float32)
    write_table(CHECK, "packed", ROWS, folder / "table")
    if which == "own":
        for precision in ("float32", "bfloat16", "fp8") if torch.cuda.is_available() else ("float32", "bfloat16"):
            yield {"packed_against_alone": precision} | packed(precision, folder)
    for backend, precision in RECIPES[which]:
        yield {"backend": backend, "precision": precision} | _trained(backend, precision, folder)


def packed(precision: str, folder: Path) -> dict[str, float]:
    """Mean loss of a packed row's documents in the row and alone, the largest difference of one token's, and the mean
    when the documents do see each other (what the first two must not be).
    """
    import torch

    from tasks.training.backends.fast.adapters import Adapters
    from tasks.training.backends.fast.decoder import Decoder
    from tasks.training.backends.fast.weights import shapes, weight_reader
    from tasks.training.params import TrainingParams
    from tasks.training.table import Table

    config = CHECK.made_config()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    params = TrainingParams(rank=16, alpha=16)
    if device.type == "cuda" and dtype == torch.float32:
        return {"skipped": 1.0}  # the kernels of attention want 16 bits
    adapters = Adapters(shapes(config), config.num_hidden_layers, params, dtype, device)
    decoder = Decoder(config, weight_reader(folder / "model", dtype, device), adapters, params.scale)
    if precision == "fp8":
        decoder.quantise(range(len(decoder.layers)))
    row = Table(folder / "table").row(0)
    ids, positions, labels = (torch.from_numpy(part) for part in (row.input_ids, row.position_ids, row.labels))
    bounds = [*(positions == 0).nonzero()[:, 0].tolist(), len(ids)]
    together = decoder.forward_backward(ids, positions, labels, 1.0)
    alone = torch.cat(
        [
            decoder.forward_backward(ids[start:end], positions[start:end], labels[start:end], 1.0)
            for start, end in itertools.pairwise(bounds)
        ]
    )
    mixed = decoder.forward_backward(ids, torch.arange(len(ids)), labels, 1.0)
    return {
        "documents": len(bounds) - 1.0, "loss_packed": float(together.mean()), "loss_alone": float(alone.mean()),
        "largest_difference": float((together - alone).abs().max()), "loss_mixed": float(mixed.mean()),
        "largest_difference_mixed": float((mixed - alone).abs().max()),
    }  # fmt: skip


def _trained(backend: str, precision: str, folder: Path) -> dict[str, Any]:
    from tasks.training import job
    from tasks.training.params import TrainingParams, TrainingRequest

    params = TrainingParams(rank=16, alpha=16, backend=backend, precision=precision, epochs=2, learning_rate=1e-3)
    out = Path(tempfile.mkdtemp())
    losses: list[float] = []

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "step":
            losses.append(event["facts"]["loss"])

    request = {"table": str(folder / "table"), "model": str(folder / "model"), "base_name": "check"}
    request |= {"params": params.model_dump(mode="json"), "checkpoints": tempfile.mkdtemp(), "out": str(out)}
    try:
        answer = job.run(TrainingRequest.model_validate(request), listen)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:600]}
    written = sorted(path.name for path in out.iterdir())
    return {"targets": answer["targets"], "losses": losses, "resolved": answer["resolved"], "written": written}
