"""The training job: runs in the child process, chooses the backend, checks that what was planned was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.base.errors import InputError, TrainingError
from tasks.model.child_main import Report
from tasks.training.adapter import tidy
from tasks.training.checkpoints import Checkpoints
from tasks.training.events import with_event_files
from tasks.training.hardware import device_count, device_facts
from tasks.training.journal import Journal, last_good, write_lines
from tasks.training.params import Backend, TrainingParams
from tasks.training.planner import Shape
from tasks.training.ranks import rank, shares, together, world
from tasks.training.table import Table, optimizer_steps
from tasks.training.utilisation import flops_per_token, peak_flops, table_facts
from tasks.training.validation import Validation


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Trains an adapter.

    The request has `table` and `model` (folders), `params`, `base_name` (what the adapter says its base is),
    `checkpoints` and `out` (folders); a trial's also `held_out` (rows as JSON lines) and `looks` (how often their loss
    is measured); `events` may name a folder for TensorBoard's files. `out` gets adapter_model.safetensors,
    adapter_config.json and loss.jsonl.

    Returns:
        `resolved` (what the machine made of the request), `steps`, `targets`, `tokens`, `seconds`.

    Raises:
        TrainingError: the loss is not finite or diverges, or other tokens were trained on than planned.
        BudgetError: time or money is used up.
    """
    params = TrainingParams.model_validate(request["params"])
    if params.backend is Backend.UNSLOTH:  # before anything imports torch or transformers
        from tasks.training import unsloth_backend

        unsloth_backend.load()
    with together(request, shares(params.batch_size, params.devices or device_count())):
        return _train(request, params, report)


def _train(request: dict[str, Any], params: TrainingParams, report: Report) -> dict[str, Any]:
    table = Table(Path(request["table"]))
    backend, reason = choose(params, Path(request["model"]), max(table.lengths()))
    out = Path(request["out"])
    steps = optimizer_steps(len(table), params.epochs, params.batch_size)
    report = with_event_files(report, Path(request["events"]) if request.get("events") else None)
    flops, peak = _arithmetic(table, Path(request["model"]), params)
    journal = Journal(table.sources, steps, params, report, flops, peak)
    if request.get("held_out"):
        journal.validation = Validation(Path(request["held_out"]), steps, request["looks"])
    checkpoints = Checkpoints(Path(request["checkpoints"]), params.checkpoint_minutes, steps, writes=rank() == 0)
    try:
        resolved = backend_function(backend)(table, Path(request["model"]), params, journal, checkpoints, out)
    except TrainingError as error:
        good = checkpoints.until(last_good([line["loss"] for line in journal.lines])) if journal.lines else None
        kept = (
            f"the last good checkpoint is {good.name} in {good.parent}" if good else "no good checkpoint is there yet"
        )
        raise TrainingError(f"{error}; {kept}") from error
    tidy(out, request["base_name"], params.revision)
    write_lines(out / "loss.jsonl", journal.lines)
    trained, planned = sum(line["targets"] for line in journal.lines), table.targets() * params.epochs
    if trained != planned:
        raise TrainingError(f"{backend.value} trained on {trained} target tokens where {planned} were planned")
    return {
        "resolved": resolved | {"backend_because": reason, "processes": world()},
        "steps": steps,
        "targets": trained,
        "tokens": sum(line["tokens"] for line in journal.lines),
        "seconds": journal.seconds(),
    }


def choose(params: TrainingParams, model_folder: Path, longest: int) -> tuple[Backend, str]:
    """The backend to use, and why.

    Raises:
        InputError: `fast` is asked for what it cannot do.
    """
    if params.backend in (Backend.TRL, Backend.UNSLOTH):
        return params.backend, "asked for"
    if params.shard_base:
        return Backend.TRL, "it splits the base over several GPUs"
    from transformers import AutoConfig

    from tasks.training.fast_backend import refusal

    reason = refusal(AutoConfig.from_pretrained(model_folder), params, longest)
    if reason is None:
        return Backend.FAST, "asked for" if params.backend is Backend.FAST else "the fastest that this model allows"
    if params.backend is Backend.FAST:
        raise InputError(f"training.backend: fast does not do {reason}; choose auto or trl")
    return Backend.TRL, f"fast does not do {reason}"


def _arithmetic(table: Table, model_folder: Path, params: TrainingParams) -> tuple[float, float | None]:
    """Operations per token, 0 for a model whose shape is not Llama's, and the device's peak, None where not known."""
    from transformers import AutoConfig

    try:
        shape = Shape.of(AutoConfig.from_pretrained(model_folder))
    except AttributeError:
        return 0.0, None
    return flops_per_token(shape, params.rank, *table_facts(table)), _peak()


def _peak() -> float | None:
    peak = peak_flops(device_facts()["device"])
    return peak * world() if peak else None


def backend_function(backend: Backend) -> Any:
    """The `train` function of a backend's module, imported only when used."""
    if backend is Backend.FAST:
        from tasks.training import fast_backend

        return fast_backend.train
    if backend is Backend.UNSLOTH:
        from tasks.training import unsloth_backend

        return unsloth_backend.train
    from tasks.training import trl_backend

    return trl_backend.train
