import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import BudgetError, ChildError, StoreError
from tasks.base.ledger import ledger
from tasks.base.progress import Event, listening
from tasks.base.store import Store
from tasks.model.base_model import base_model
from tasks.model.params import BaseModelParams
from tasks.text.general_text import general_texts
from tasks.training.checkpoints import whole
from tasks.training.params import Backend, TrainingParams
from tasks.training.train import train

QUICK = TrainingParams(
    backend="trl", rank=4, alpha=8, learning_rate=1e-3, epochs=2, batch_size=2, precision="float32",
    max_general_loss=None,
)  # fmt: skip


def lines_of(store: Store, adapter: Artifact) -> list[dict]:
    return [json.loads(line) for line in store.open(adapter, "loss.jsonl").read().decode().splitlines()]


def test_train_sees_exactly_the_planned_targets_and_tells_how_far_it_is(
    store: Store, tiny_model_artifact: Artifact, table_artifact: Callable[..., Artifact]
) -> None:
    events: list[Event] = []
    with listening(events.append), ledger(store, "some-run"):
        params = QUICK.model_copy(update={"backend": Backend.FAST})  # TRL alone takes two seconds to import
        adapter = train.direct(store, table=table_artifact(), model=tiny_model_artifact, params=params)

    lines = lines_of(store, adapter)
    # first token of each part and masked prompts are no targets
    targets = 2 * (39 + 19 + 7 + 18 + 24 + 6 + 7 + 7 + 9)
    assert adapter.counts == {"steps": 5, "targets": targets, "tokens": 2 * (40 + 36 + 30 + 32 + 34)}
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert sum(line["targets"] for line in lines) == targets
    assert set().union(*(line["losses"] for line in lines)) == {"raw-file", "raw-pull", "raw-wiki", "dialogue-page"}
    assert lines[-1]["loss"] < lines[0]["loss"]
    config = json.loads(store.open(adapter, "adapter_config.json").read())
    assert config["base_model_name_or_path"] == "stub"
    assert config["r"] == 4
    assert not [
        name
        for name in Path(adapter.uri).iterdir()
        if name.name not in ("adapter_model.safetensors", "adapter_config.json", "loss.jsonl")
    ]
    looks = [event for event in events if event.kind == "progress" and "loss" not in event.facts]
    assert [event.done for event in looks] == [1, 2, 3, 4, 5]
    assert looks[-1].facts == {"general_loss_above_base": round(lines[-1]["general"]["above_base"], 4)}
    assert lines[0]["base"].keys() == {f"general_loss:{domain}" for domain in general_texts()}
    steps = [event for event in events if event.kind == "progress" and "loss" in event.facts]
    assert steps[-1].done == 5
    assert steps[-1].facts["general_loss_above_base"] == looks[-2].facts["general_loss_above_base"]  # the last look's
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_second", "eta", "tflops"} <= steps[-1].facts.keys()
    assert steps[-1].facts["mfu"] == "none"  # a CPU has no peak that could be quoted
    (written,) = (store.local("ledger", "tensorboard", "some-run")).glob("*/events.out.tfevents.*")
    assert b"loss/raw-file" in written.read_bytes()
    assert b"training/general_loss_above_base" in written.read_bytes()


class Killed(Exception):
    pass


@pytest.mark.slow
def test_train_killed_after_a_checkpoint_resumes_to_a_bit_equal_loss_curve(
    store: Store, tmp_path: Path, tiny_model_artifact: Artifact, table_artifact: Callable[..., Artifact]
) -> None:
    arguments = {"table": table_artifact(), "model": tiny_model_artifact, "params": QUICK}
    interrupted = Store(store.uri)

    def kill(event: Event) -> None:
        if event.kind == "progress" and event.done == 4:
            raise Killed  # run_child answers any exception by SIGKILL of the child's whole group

    with listening(kill), pytest.raises(Killed):
        train.direct(interrupted, **arguments)
    key = _key(arguments)
    assert store.manifest("training/train", key) is None
    assert [folder.name for folder in whole(store.local("cache", "training", key))] == [
        "step-00000002",
        "step-00000003",
    ]
    resumed = train.direct(interrupted, **arguments)
    shutil.rmtree(store.local("cache", "training"))
    shutil.rmtree(store.local("steps", "training"))
    uninterrupted = train.direct(store, **arguments)

    assert resumed.sha256 == uninterrupted.sha256  # adapter and loss.jsonl, byte for byte
    assert store.manifest("training/train", key).resolved["resumed_at"] == 0


@pytest.mark.slow
def test_train_over_its_time_budget_stops_and_keeps_its_checkpoint(
    store: Store, tiny_model_artifact: Artifact, table_artifact: Callable[..., Artifact]
) -> None:
    hurried = QUICK.model_copy(update={"max_hours": 5e-6})
    arguments = {"table": table_artifact(), "model": tiny_model_artifact}

    with pytest.raises(BudgetError, match=r"training\.max_hours"):
        train.direct(store, params=hurried, **arguments)
    patient = train.direct(store, params=QUICK, **arguments)  # a budget bears no identity: the same run goes on

    assert patient.counts["steps"] == 5


@pytest.mark.slow
def test_train_whose_store_vanishes_says_so_in_one_line(
    store: Store, tiny_model_artifact: Artifact, table_artifact: Callable[..., Artifact]
) -> None:
    arguments = {"table": table_artifact(), "model": tiny_model_artifact, "params": QUICK}

    def vanish(event: Event) -> None:
        if event.kind == "progress" and event.done == 2:
            Path(store.root.path).rename(f"{store.root.path}-unmounted")  # at one stroke, as a mount goes

    with (
        listening(vanish),
        pytest.raises(StoreError, match=r"^store: .* has vanished during training; bring it back"),
    ):
        train.direct(store, **arguments)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB; only where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this process may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trl", "fast"])
def test_train_on_a_full_disk_says_so_in_one_line_and_goes_on_once_there_is_room(
    backend: str, small_disk: Path, tmp_path: Path, tiny_model: Path, table_artifact: Callable[..., Artifact]
) -> None:
    from tests.training.conftest import ROWS, _table

    full = Store(str(small_disk / "store"))
    model = base_model.direct(full, params=BaseModelParams(base_model=str(tiny_model)))
    large = TrainingParams.model_validate(QUICK.model_dump() | {"backend": backend, "rank": 256, "alpha": 256})
    arguments = {"table": _table.direct(full, rows=ROWS, seed=0), "model": model, "params": large}
    with pytest.raises(ChildError, match=r"the disk is full .*; free some space and run again") as failure:
        train.direct(full, **arguments)
    assert "\n" not in str(failure.value)
    subprocess.run(["mount", "-o", "remount,size=96m", str(small_disk)], check=True)
    train.direct(full, **arguments)
    resolved = full.manifest("training/train", _key(arguments)).resolved
    assert resolved["resumed_at"] > 0


def _key(arguments: dict) -> str:
    document = train.key_document(**arguments)
    return hashlib.sha256(
        json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()
