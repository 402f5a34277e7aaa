"""Unsloth trains for real, on the CPU, in the environment that `make setup-unsloth` makes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.model.child import run_child
from tasks.training.params import TrainingParams
from tasks.training.train import VARIABLE, train, unsloth_python
from tests.training.conftest import ROWS, write_table
from tests.training.test_training import TARGETS


@pytest.fixture(scope="module")
def unsloth(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("unsloth")
    (folder / "table").mkdir()
    write_table(folder / "table", ROWS)
    request = {"folder": str(folder), "table": str(folder / "table"), "model": str(tiny_model)}
    return run_child("tests.training.scenarios:run_unsloth", request, python=unsloth_python())


@pytest.mark.slow
def test_unsloth_sees_exactly_the_planned_targets_of_packed_rows(unsloth: dict[str, Any]) -> None:
    through = unsloth["through"]

    assert through["answer"]["resolved"]["backend"] == "unsloth"
    assert through["answer"]["targets"] == TARGETS
    assert through["answer"]["tokens"] == 2 * (40 + 36 + 30 + 32 + 34)
    assert {name for line in through["lines"] for name in line["losses"]} == {
        "raw-file", "raw-pull", "raw-wiki", "dialogue-page",
    }  # fmt: skip
    assert sorted(through["files"]) == ["adapter_config.json", "adapter_model.safetensors", "loss.jsonl"]


@pytest.mark.slow
def test_unsloth_interrupted_resumes_to_equal_bytes(unsloth: dict[str, Any]) -> None:
    assert unsloth["resumed"]["answer"]["resolved"]["resumed_at"] == 3
    assert unsloth["resumed"]["lines"] == unsloth["through"]["lines"]
    assert unsloth["resumed"]["files"] == unsloth["through"]["files"]


@pytest.mark.slow
def test_unsloth_not_finite_stops_with_one_clear_line(unsloth: dict[str, Any]) -> None:
    assert "is not finite at step" in unsloth["wild"]["error"]


@pytest.mark.slow
def test_unsloth_trains_on_a_4_bit_base(unsloth: dict[str, Any]) -> None:
    four_bit = unsloth["nf4"]

    assert four_bit["answer"]["resolved"]["base_precision"] == "nf4"
    assert four_bit["answer"]["targets"] == TARGETS
    # the base's own rounding, no more: B is zero at first
    assert four_bit["lines"][0]["loss"] == pytest.approx(unsloth["through"]["lines"][0]["loss"], rel=0.01)
    assert four_bit["lines"][0]["loss"] != unsloth["through"]["lines"][0]["loss"]


@pytest.mark.slow
def test_unsloth_and_trl_make_the_same_adapter_of_the_same_table(
    store: Store, tiny_model_artifact: Artifact, table_artifact: Callable[..., Artifact]
) -> None:
    recipe = {"rank": 4, "alpha": 8, "learning_rate": 1e-3, "epochs": 1, "precision": "float32"}
    recipe |= {"max_general_loss": None}
    made = {
        backend: train.direct(
            store,
            table=table_artifact(),
            model=tiny_model_artifact,
            params=TrainingParams.model_validate(recipe | {"backend": backend}),
        )
        for backend in ("trl", "unsloth")
    }

    trl, unsloth = (store.open(made[backend], "adapter_config.json").read() for backend in ("trl", "unsloth"))
    assert trl == unsloth
    assert made["trl"].counts == made["unsloth"].counts


def test_unsloth_python_that_is_named_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/python")

    with pytest.raises(InputError, match=f"{VARIABLE}: /nowhere/python does not exist"):
        unsloth_python()


def test_unsloth_missing_names_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    with pytest.raises(InputError, match=r"training\.backend: unsloth is not installed; run make setup-unsloth"):
        unsloth_python(tmp_path)
