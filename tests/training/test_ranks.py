"""Two processes on a CPU (gloo) train what one trains: same rows per step, same losses, nearly the same adapter."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import ChildError
from tasks.model.child import run_child
from tasks.training.ranks import shares
from tests.training.conftest import ROWS, write_table

BACKENDS = (pytest.param("trl", marks=pytest.mark.slow), "fast")
"""In this order of cost; the slow one starts four processes that import all of trl."""


@given(batch_size=st.integers(1, 64), devices=st.integers(1, 16))
def test_shares_are_equal_and_no_more_than_there_are_devices(batch_size: int, devices: int) -> None:
    count = shares(batch_size, devices)

    assert 1 <= count <= devices
    assert batch_size % count == 0


Pairs = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Pairs:
    """What a backend made in one process and in two; each is run once."""

    @functools.cache
    def made(backend: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp(backend)
        return run_child("tests.training.rank_scenarios:run", request(folder, tiny_model) | {"backend": backend})

    return made


def request(folder: Path, model: Path) -> dict[str, Any]:
    table = folder / "table"
    table.mkdir()
    write_table(table, ROWS)
    return {"folder": str(folder), "table": str(table), "model": str(model)}


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_have_the_loss_curve_of_one(pairs: Pairs, backend: str) -> None:
    alone, pair = (pairs(backend)[name] for name in ("alone", "pair"))

    assert (alone["resolved"]["processes"], pair["resolved"]["processes"]) == (1, 2)
    assert len(alone["lines"]) == 4  # 15 rows in steps of 4: the last step has 3, one process one row less
    for one, two in zip(alone["lines"], pair["lines"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
        assert (two["targets_by_source"], two["tokens"]) == (one["targets_by_source"], one["tokens"])
    assert pair["resolved"]["resumed_at"] == 1  # the first step was made by one process
    assert pair["steps_reported"] == [2, 3, 4]  # by one process, once each


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_write_one_adapter_that_is_nearly_that_of_one(pairs: Pairs, backend: str) -> None:
    assert pairs(backend)["pair"]["files"] == ["adapter_config.json", "adapter_model.safetensors", "loss.jsonl"]
    assert pairs(backend)["difference"] < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_process_resumes_from_the_checkpoint_of_two(pairs: Pairs, backend: str) -> None:
    """Checkpoints do not depend on how many processes made them: one, then two, then one again."""
    resumed, alone = pairs(backend)["resumed"], pairs(backend)["alone"]

    assert (resumed["resolved"]["resumed_at"], resumed["resolved"]["processes"]) == (3, 1)
    assert [line["loss"] for line in resumed["lines"]] == pytest.approx(
        [line["loss"] for line in alone["lines"]], abs=1e-5
    )


@pytest.mark.slow
def test_base_split_over_two_processes_trains_what_a_whole_one_trains(tmp_path: Path, tiny_model: Path) -> None:
    made = run_child("tests.training.rank_scenarios:split", request(tmp_path, tiny_model))
    alone, pair, resumed = made["alone"], made["pair"], made["resumed"]

    assert (pair["resolved"]["processes"], pair["resolved"]["backend"]) == (2, "trl")
    for one, two, again in zip(alone["lines"], pair["lines"], resumed["lines"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert again["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
    assert pair["resolved"]["share_of_base"] == 0.5  # also after training: no layer stays gathered
    assert pair["files"] == alone["files"]
    assert resumed["resolved"]["resumed_at"] == 2
    assert made["difference"] < 1e-4


@pytest.mark.slow
def test_two_processes_train_embeddings_and_stay_near_the_base_as_one_does(tmp_path: Path, tiny_model: Path) -> None:
    made = run_child("tests.training.rank_scenarios:recipe", request(tmp_path, tiny_model))

    for one, two in zip(made["alone"]["lines"], made["pair"]["lines"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert two["kl"] == pytest.approx(one["kl"], abs=1e-6)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
    assert made["difference"] < 1e-4


@pytest.mark.slow
def test_process_that_dies_ends_the_training_with_its_reason(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ChildError, match="a process of the group ended with exit code 7"):
        run_child("tests.training.rank_scenarios:lose_one", request(tmp_path, tiny_model))


@pytest.mark.slow
def test_process_that_is_killed_ends_the_training_in_one_line(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ChildError, match=r"a process of the group was killed by SIGKILL; perhaps memory ran out$"):
        run_child("tests.training.rank_scenarios:kill_one", request(tmp_path, tiny_model))


@pytest.mark.slow
def test_gradient_is_summed_once_though_memory_runs_out_on_the_way() -> None:
    """Of four layers the last two are summed in the second attempt, which then fails too; the others in the third."""
    first, again = run_child("tests.training.rank_scenarios:summing", {})["made"]

    assert first == again == [30.0] * 3 + [31.0] * 3 + [22.0] * 3 + [23.0] * 3


@pytest.mark.slow
def test_job_runs_under_torchrun(tmp_path: Path, tiny_model: Path) -> None:
    from tasks.training.params import TrainingParams

    out = tmp_path / "out"
    out.mkdir()
    params = TrainingParams(backend="fast", rank=4, alpha=8, batch_size=2, epochs=1, precision="float32")
    asked = {name: value for name, value in request(tmp_path, tiny_model).items() if name != "folder"} | {
        "params": params.model_dump(mode="json"), "base_name": "tiny", "out": str(out),
        "checkpoints": str(tmp_path / "checkpoints"),
    }  # fmt: skip
    (tmp_path / "request.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "tasks.training.job", str(tmp_path / "request.json")],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [event["done"] for event in events if event["kind"] == "step"] == [1, 2, 3]
    assert (out / "adapter_model.safetensors").exists()
