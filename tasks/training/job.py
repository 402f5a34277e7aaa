"""The training job: in the child, chooses the backend and checks that what was planned was trained."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tasks.base.errors import TrainingError
from tasks.model.child_main import Report, die_with_parent
from tasks.training.adapter import tidy
from tasks.training.checkpoints import Checkpoints, made_by, whole
from tasks.training.journal import Journal, last_good, with_event_files, write_lines
from tasks.training.params import Backend, Chosen, TrainingParams, TrainingRequest
from tasks.training.plan.cards import device_count, device_facts, start_clean, this_card
from tasks.training.plan.forecast import forecast, refuse_hopeless
from tasks.training.plan.planner import choose
from tasks.training.plan.shape import Shape, flops_per_token, peak_flops, table_facts
from tasks.training.ranks import rank, shares, together, world
from tasks.training.table import Table, optimizer_steps, row_order
from tasks.training.validation import GeneralLoss, Validation


def run(request: TrainingRequest, report: Report) -> dict[str, Any]:
    """Trains an adapter.

    Returns:
        `resolved` (what the machine made of the request), `steps`, `targets`, `tokens`, `seconds`; or `hand_over`
        alone: Unsloth is to go on with the same request and this as its `choice`, in a process of its own.

    Raises:
        InputError: what is asked for cannot be done with this model on this machine.
        TrainingError: the loss is not finite or diverges, or other tokens were trained on than planned.
        BudgetError: time or money is used up.
    """
    params, handed = request.params, request.choice
    if Backend.UNSLOTH in (params.backend, handed and handed.backend):  # before anything imports transformers
        from tasks.training.backends import unsloth_backend

        unsloth_backend.load()
    choice = handed or chosen(request, params)
    if choice.backend is Backend.UNSLOTH and "unsloth" not in sys.modules:
        return {"hand_over": choice.model_dump(mode="json")}
    report({"kind": "note", "text": f"{choice.backend.value}: {choice.because}"})
    params = params.model_copy(update={"precision": choice.precision})
    request = request.model_copy(update={"choice": choice})
    with together(request, shares(params.batch_size, params.devices or device_count())):
        start_clean()
        return _train(request, params, choice, report)


def _train(request: TrainingRequest, params: TrainingParams, choice: Chosen, report: Report) -> dict[str, Any]:
    table, out = Table(request.table), request.out
    _refuse_hopeless(table, request.model, params, request.checkpoints)
    steps = optimizer_steps(len(table), params.epochs, params.batch_size)
    report = with_event_files(report, request.events)
    flops, peak = _arithmetic(table, request.model, params)
    journal = Journal(table.sources, steps, params, report, flops, peak)
    if request.held_out:
        journal.validation = Validation(request.held_out, steps, request.looks)
    if request.general and request.general_looks:
        journal.general = GeneralLoss(request.general, steps, request.general_looks)
    checkpoints = Checkpoints(
        request.checkpoints, params.checkpoint_minutes, steps, choice.backend.value, writes=rank() == 0
    )
    try:
        resolved = backend_function(choice.backend)(table, request.model, params, journal, checkpoints, out)
    except TrainingError as error:
        good = checkpoints.until(last_good([line["loss"] for line in journal.lines])) if journal.lines else None
        kept = (
            f"the last good checkpoint is {good.name} in {good.parent}" if good else "no good checkpoint is there yet"
        )
        raise TrainingError(f"{error}; {kept}") from error
    tidy(out, request.base_name, params.revision)
    write_lines(out / "loss.jsonl", journal.lines)
    seen = row_order(len(table), params.epochs, params.seed)[: len(journal.lines) * params.batch_size]
    trained, planned = sum(line["targets"] for line in journal.lines), table.targets(seen)
    if trained != planned:
        raise TrainingError(f"{choice.backend.value} trained on {trained} target tokens where {planned} were planned")
    return {
        "resolved": resolved | {"backend_because": choice.because, "processes": world(), **journal.outcome()},
        "steps": len(journal.lines),
        "targets": trained,
        "tokens": sum(line["tokens"] for line in journal.lines),
        "seconds": journal.seconds(),
    }


def chosen(request: TrainingRequest, params: TrainingParams) -> Chosen:
    """The choice for this machine (see `planner.choose`); a resumed run keeps its backend."""
    if params.shard_base:
        return Chosen(backend=Backend.TRL, precision=params.precision, because="it splits the base over several GPUs")
    from transformers import AutoConfig

    from tasks.training.backends.fast_backend import refusal

    config, longest = AutoConfig.from_pretrained(request.model), max(Table(request.table).lengths())
    begun = made_by(request.checkpoints)
    if begun and params.backend is Backend.AUTO:  # another backend could not read the checkpoint
        params = params.model_copy(update={"backend": Backend(begun)})
    peft_asked = params.backend in (Backend.TRL, Backend.UNSLOTH)
    refused = None if peft_asked else refusal(config, params)
    try:
        shape = Shape.of(config)
    except AttributeError:
        shape = None
    return choose(params, shape, longest, this_card(), refused, request.has_unsloth)


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
        shape = Shape.of(AutoConfig.from_pretrained(model_folder), params.mlp_only)
    except AttributeError:
        return 0.0, None
    return flops_per_token(shape, params.rank, *table_facts(table)), _peak()


def _peak() -> float | None:
    peak = peak_flops(device_facts()["device"])
    return peak * world() if peak else None


def backend_function(backend: Backend) -> Any:
    """The `train` function of a backend's module, imported only when used."""
    if backend is Backend.FAST:
        from tasks.training.backends import fast_backend

        return fast_backend.train
    if backend is Backend.UNSLOTH:
        from tasks.training.backends import unsloth_backend

        return unsloth_backend.train
    from tasks.training.backends import trl_backend

    return trl_backend.train


def main(path: str) -> None:
    """One process of a group, with the request in the file; only rank 0 writes to its folders."""
    die_with_parent()
    request = TrainingRequest.model_validate_json(Path(path).read_text("utf-8"))
    if rank() == 0:
        run(request, lambda event: print(json.dumps(event), flush=True))
        return
    with tempfile.TemporaryDirectory(prefix="rawtune-rank-") as nowhere:
        run(request.model_copy(update={"out": Path(nowhere), "events": None}), lambda event: None)


if __name__ == "__main__":
    main(sys.argv[1])
