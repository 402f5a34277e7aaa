"""Soft targets: the loss at a replay token is the distance from the base, in both backends alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.model.child import run_child
from tasks.training.table import Table
from tests.training.conftest import write_table

ROWS = [[("replay-raw", 24, 0)], [("raw-file", 30, 0)], [("replay-chat", 21, 4)], [("dialogue-page", 18, 6)]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, untied_model: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("soft")
    (folder / "table").mkdir()
    write_table(folder / "table", ROWS)
    request = {"folder": str(folder), "model": str(tiny_model), "teacher": str(untied_model)}
    return run_child("tests.training.soft_scenarios:run", request) | {"table": folder / "table"}


def test_soft_formula_and_gradients_are_those_of_a_plain_computation(made: dict[str, Any]) -> None:
    assert max(made["formulas"].values()) < 2e-5, made["formulas"]


@pytest.mark.parametrize("backend", ["trl", "fast"])
def test_soft_loss_is_the_divergence_that_whole_distributions_give(made: dict[str, Any], backend: str) -> None:
    """The adapter begins at zero, so what the first epoch's first sight of a row gives is the base's own distance."""
    lines = made[backend]["lines"]
    first = lines[: len(lines) // 2]  # two epochs of two steps
    assert {name for line in first for name in line["losses"]} == {
        "replay-raw", "replay-chat", "raw-file", "dialogue-page",
    }  # fmt: skip
    seen = lines[0]["targets_by_source"]
    assert sum(line["targets"] for line in first) == sum(row for row in (23, 29, 17, 12))
    replay = [name for name in seen if name.startswith("replay")]
    assert replay  # the first step has at least one of the replay rows
    whole, bucketed = (made["wanted"][name] / made["wanted"]["targets"] for name in ("whole", "bucketed"))
    assert 0 < bucketed <= whole
    got = sum(line["losses"][name] * line["targets_by_source"][name]
              for line in first for name in line["losses"] if name.startswith("replay"))  # fmt: skip
    assert got / made["wanted"]["targets"] == pytest.approx(bucketed, rel=0.02)


def test_soft_targets_train_both_backends_alike(made: dict[str, Any]) -> None:
    """The adapters begin at other random values, so the curves agree and are not equal."""
    for line, same in zip(made["trl"]["lines"], made["fast"]["lines"], strict=True):
        assert line["losses"] == pytest.approx(same["losses"], rel=0.02)
        assert line["targets_by_source"] == same["targets_by_source"]


def test_soft_columns_are_null_where_a_row_has_none_and_rows_stand_side_by_side(made: dict[str, Any]) -> None:
    table = Table(made["table"])
    soft, plain = table.row(0), table.row(1)
    assert soft.soft is not None
    assert (soft.soft.ids.shape, soft.soft.ids[0, 0]) == ((24, 20), -1)
    assert plain.soft is None
    both = table.side_by_side([1, 0])
    assert both.soft is not None
    assert both.soft.ids.shape == (54, 20)
    assert both.soft_targets is not None
    assert both.soft_targets.sum() == 23
    assert not both.soft_targets[:29].any()
    assert np.allclose(both.soft.logprobs[30:], soft.soft.logprobs)
