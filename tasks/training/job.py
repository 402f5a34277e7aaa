"""The training job: runs in the child process, chooses the backend, checks that what was planned was trained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tasks.base.errors import TrainingError
from tasks.model.child_main import Report
from tasks.training.adapter import tidy
from tasks.training.checkpoints import Checkpoints, made_by, whole
from tasks.training.choice import Choice, choose
from tasks.training.events import with_event_files
from tasks.training.forecast import forecast, refuse_hopeless
from tasks.training.hardware import device_count, device_facts, start_clean, this_card
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
    adapter_config.json and loss.jsonl. `has_unsloth`: whether it could take over; `choice`: one that has
    been made.

    Returns:
        `resolved` (what the machine made of the request), `steps`, `targets`, `tokens`, `seconds`; or `hand_over`
        alone: Unsloth is to go on with the same request and this as its `choice`, in a process of its own.

    Raises:
        InputError: what is asked for cannot be done with this model on this machine.
        TrainingError: the loss is not finite or diverges, or other tokens were trained on than planned.
        BudgetError: time or money is used up.
    """
    params = TrainingParams.model_validate(request["params"])
    handed = request.get("choice")
    if Backend.UNSLOTH in (params.backend, handed and handed["backend"]):  # before anything imports transformers
        from tasks.training import unsloth_backend

        unsloth_backend.load()
    choice = Choice.of(handed) if handed else chosen(request, params)
    if choice.backend is Backend.UNSLOTH and "unsloth" not in sys.modules:
        return {"hand_over": choice.document()}
    report({"kind": "note", "text": f"{choice.backend.value}: {choice.because}"})
    params = params.model_copy(update={"precision": choice.precision})
    request = request | {"choice": choice.document()}
    with together(request, shares(params.batch_size, params.devices or device_count())):
        start_clean()
        return _train(request, params, choice, report)


def _train(request: dict[str, Any], params: TrainingParams, choice: Choice, report: Report) -> dict[str, Any]:
    table = Table(Path(request["table"]))
    _refuse_hopeless(table, Path(request["model"]), params, Path(request["checkpoints"]))
    out = Path(request["out"])
    steps = optimizer_steps(len(table), params.epochs, params.batch_size)
    report = with_event_files(report, Path(request["events"]) if request.get("events") else None)
    flops, peak = _arithmetic(table, Path(request["model"]), params)
    journal = Journal(table.sources, steps, params, report, flops, peak)
    if request.get("held_out"):
        journal.validation = Validation(Path(request["held_out"]), steps, request["looks"])
    checkpoints = Checkpoints(
        Path(request["checkpoints"]), params.checkpoint_minutes, steps, choice.backend.value, writes=rank() == 0
    )
    try:
        resolved = backend_function(choice.backend)(table, Path(request["model"]), params, journal, checkpoints, out)
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
        raise TrainingError(f"{choice.backend.value} trained on {trained} target tokens where {planned} were planned")
    return {
        "resolved": resolved | {"backend_because": choice.because, "processes": world()},
        "steps": steps,
        "targets": trained,
        "tokens": sum(line["tokens"] for line in journal.lines),
        "seconds": journal.seconds(),
    }


def chosen(request: dict[str, Any], params: TrainingParams) -> Choice:
    """The choice for this machine (see `choice.choose`); a run goes on with the backend that it began with."""
    if params.shard_base:
        return Choice(Backend.TRL, params.precision, "it splits the base over several GPUs")
    from transformers import AutoConfig

    from tasks.training.fast_backend import refusal

    config, longest = AutoConfig.from_pretrained(request["model"]), max(Table(Path(request["table"])).lengths())
    begun = made_by(Path(request["checkpoints"]))
    if begun and params.backend is Backend.AUTO:  # another backend could not read the checkpoint
        params = params.model_copy(update={"backend": Backend(begun)})
    peft_asked = params.backend in (Backend.TRL, Backend.UNSLOTH)
    refused = None if peft_asked else refusal(config, params, longest)
    try:
        shape = Shape.of(config)
    except AttributeError:
        shape = None
    return choose(params, shape, longest, this_card(), refused, request.get("has_unsloth", False))


def _refuse_hopeless(table: Table, model_folder: Path, params: TrainingParams, checkpoints: Path) -> None:
    """A CPU does not begin what it could not finish within the limit (see `forecast.py`)."""
    from transformers import AutoConfig

    if this_card() is not None or whole(checkpoints):  # or it has begun, perhaps under another limit
        return
    try:
        shape = Shape.of(AutoConfig.from_pretrained(model_folder))
    except AttributeError:  # not shaped like Llama: nothing can be predicted, and the limit stops it
        return
    lengths = table.lengths()
    refuse_hopeless(forecast(shape, params, sum(lengths), len(lengths), max(lengths), None, None))


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
