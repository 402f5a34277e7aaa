"""Trains an adapter in a child process, and goes on where an interrupted attempt left off.

Writes adapter_model.safetensors and adapter_config.json (PEFT's format) and loss.jsonl (a line per optimizer step; see
`journal.py`).

Unsloth caps the versions of most libraries beside it, so on a machine without a GPU it has an environment of its own
(`make setup-unsloth`), whose Python then runs the child. On a GPU machine the extra `gpu` puts it into this one.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import ChildError, InputError, StoreError
from tasks.base.progress import notice
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.model.child import ROOT, run_child
from tasks.text.general_text import general_texts
from tasks.text.loss_rows import LossRow, general_rows, within
from tasks.text.tokenizer import stored_tokenizer
from tasks.training.checkpoints import download, upload
from tasks.training.journal import EventFolder
from tasks.training.params import Backend, Chosen, TrainingParams, TrainingRequest
from tasks.training.table import HELD_SAMPLES

VERSION = "2026.11.30.1"

logger = logging.getLogger(__name__)
JOB: Final = "tasks.training.job:run"
VARIABLE: Final = "RAWTUNE_UNSLOTH_PYTHON"
"""Environment variable: the interpreter of an environment that has Unsloth."""
GONE: Final = "has vanished during training; bring it back and run again"
GENERAL_ROWS: Final = "general.jsonl"
LOOKS_SHARE: Final = 0.03
"""Of a training's time goes into looks at general text, whose forward pass is a third of a trained token's work."""
LEAST_DOMAIN_TOKENS: Final = 32
MOST_DOMAIN_TOKENS: Final = 512
"""Tokens of a domain in a look. The rise is measured on the same tokens each time, so that few of them tell it."""
LEDGER_ENTRIES: Final = 100
"""About this many entries of a run go to the ledger; every step is in loss.jsonl."""


@step("training/train", VERSION)
def train(run: StepRun, table: Artifact, model: Artifact, params: TrainingParams) -> None:
    """Trains on every row of the table."""
    train_in_child(run, table, model, params)


def train_in_child(run: StepRun, table: Artifact, model: Artifact, params: TrainingParams, **more: Any) -> None:
    """Runs the job and passes its progress on; uploads checkpoints when the store is not of this machine.

    Args:
        run: gets adapter, loss log and counts.
        table: the training table.
        model: the base.
        params: the recipe.
        more: further fields of the job's request.
    """
    checkpoints = run.cache("training", run.key)
    remote = run.store.root / "cache" / "training" / run.key
    if not run.store.is_local:
        download(remote, checkpoints)

    events = EventFolder(run)

    def follow(event: dict[str, Any]) -> None:
        if event["kind"] == "note":
            notice(event["text"])
        if event["kind"] in ("step", "look"):
            run.progress(event["done"], event["total"], "steps", **event["facts"])
        if event["kind"] == "step" and event["done"] % max(1, event["total"] // LEDGER_ENTRIES) == 0:
            run.ledger("training", at=event["done"], **event["facts"])
        if event["kind"] == "checkpoint" and not run.store.is_local:
            try:
                upload(Path(event["path"]), remote)
                events.keep()
            except Exception as error:  # every filesystem has its own; the next checkpoint tries again
                logger.warning("%s: checkpoint not copied to %s (%s)", run.step, remote, type(error).__name__)

    folder, base = run.checkout(table), run.checkout(model)
    request = TrainingRequest(
        table=folder,
        model=base,
        params=params,
        base_name=params.public_name,
        checkpoints=checkpoints,
        out=run.folder,
        events=events.path,
        has_unsloth=has_unsloth(),
        general=_general(folder, table.counts.get("tokens", 0), base, params, checkpoints / GENERAL_ROWS),
        general_looks=params.general_looks,
        **more,
    )
    python = unsloth_python() if params.backend is Backend.UNSLOTH else None
    with _store_stays(run.store):
        answer = run_child(JOB, request, follow, python=python, stays=params.backend is not Backend.UNSLOTH)
        if "hand_over" in answer:  # `auto` found, in this environment, that Unsloth is what this machine should use
            request = request.model_copy(update={"choice": Chosen.model_validate(answer["hand_over"])})
            answer = run_child(JOB, request, follow, python=unsloth_python(), stays=False)  # it wants to be first
        events.keep()
    run.resolved.update(answer["resolved"])
    run.ledger("training", seconds=answer["seconds"], usd=answer["seconds"] / 3600 * params.usd_per_hour)
    for name in ("steps", "targets", "tokens"):
        run.count(name, answer[name])


def _general(table: Path, tokens: int, model: Path, params: TrainingParams, target: Path) -> Path | None:
    """The file of general text, and of the base's samples that the table has set aside; None if none is looked at.

    Args:
        table: folder.
        tokens: of the table.
        model: folder.
        params: of the training.
        target: the file.
    """
    if not params.general_looks:
        return None
    looked = LOOKS_SHARE * 3 * tokens * params.epochs / (params.general_looks + 1)
    budget = round(min(MOST_DOMAIN_TOKENS, max(LEAST_DOMAIN_TOKENS, looked / len(general_texts()))))
    rows = list(general_rows(stored_tokenizer(model), budget))
    samples: dict[str, list[LossRow]] = {}
    if (table / HELD_SAMPLES).exists():
        for line in (table / HELD_SAMPLES).read_text("utf-8").splitlines():
            row = LossRow(**json.loads(line))
            samples.setdefault(row.stream, []).append(row)
    for stream in sorted(samples):
        rows += within(budget, samples[stream])
    with target.open("w", encoding="utf-8") as writer:
        writer.writelines(json.dumps(vars(row)) + "\n" for row in rows)
    return target


@contextmanager
def _store_stays(store: Store) -> Iterator[None]:
    """Says of every failure after a local store has vanished that this is its cause.

    Folders that the child has since made in its place are no store either.

    Raises:
        StoreError: the store's folder has vanished.
    """
    try:
        yield
    except (ChildError, OSError) as error:
        if _is_gone(store):
            raise StoreError(f"store: {store.uri} {GONE}") from error
        raise
    if _is_gone(store):
        raise StoreError(f"store: {store.uri} {GONE}")


def _is_gone(store: Store) -> bool:
    return store.is_local and not (store.root / "cas").exists()


def unsloth_python(checkout: Path = ROOT) -> Path | None:
    """The interpreter that can import Unsloth: null = this one.

    The first that there is of `RAWTUNE_UNSLOTH_PYTHON`, this environment, `.venv-unsloth` in the checkout.

    Raises:
        InputError: there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).exists():
            raise InputError(f"{VARIABLE}: {named} does not exist; name the python of an environment that has unsloth")
        return Path(named)
    if importlib.util.find_spec("unsloth") is not None:
        return None
    beside = checkout / ".venv-unsloth" / "bin" / "python"
    if beside.exists():
        return beside
    raise InputError(
        "training.backend: unsloth is not installed; run make setup-unsloth in a checkout, or name an interpreter "
        f"that has it in {VARIABLE}"
    )


def has_unsloth() -> bool:
    """Whether `unsloth_python` finds one."""
    try:
        unsloth_python()
    except InputError:
        return False
    return True
