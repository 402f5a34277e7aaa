"""Embeddings that are trained beside the adapter: at their own rate, in what is saved, and in what is merged."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.model.child import run_child
from tests.training.conftest import ROWS, write_table
from tests.training.recipe_scenarios import EMBEDDING_RATE, MODELS, RATE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, untied_model: Path) -> dict[str, Any]:
    """By model; see `recipe_scenarios.py`."""
    folder = tmp_path_factory.mktemp("embeddings")
    write_table(folder, ROWS)
    row = {"stream": "raw", "input_ids": list(range(100, 140)), "labels": list(range(100, 140))}
    (folder / "held_out.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    models = {"model": str(tiny_model), "untied": str(untied_model)}
    request = {"folder": str(folder), "table": str(folder), "held_out": str(folder / "held_out.jsonl")} | models
    return run_child("tests.training.recipe_scenarios:run_embeddings", request)


@pytest.mark.parametrize("model", MODELS)
def test_embeddings_move_at_a_rate_of_their_own(made: dict[str, Any], model: str) -> None:
    """AdamW's first step moves every weight with a gradient by its group's rate."""
    assert list(made[model]["moved"].values()) == pytest.approx([EMBEDDING_RATE] * 2, rel=0.01)
    assert made[model]["moved_b"] == pytest.approx(RATE, rel=0.01)
    assert made[model]["tied"] is (model == "model")


@pytest.mark.parametrize("model", MODELS)
def test_embeddings_of_the_saved_adapter_are_what_was_trained(made: dict[str, Any], model: str) -> None:
    through = made[model]["through"]

    assert through["lines"][-1]["held_out"]["raw"] == pytest.approx(made[model]["reloaded"], abs=1e-5)
    assert sorted(through["files"]) == ["adapter_config.json", "adapter_model.safetensors", "loss.jsonl"]
    assert made[model]["dtypes"] == ["torch.float32"]


@pytest.mark.parametrize("model", MODELS)
def test_embeddings_are_in_the_merged_model(made: dict[str, Any], model: str) -> None:
    merged = made[model]["merged"]

    assert merged["divergence"] < 1e-5
    assert merged["agreement"] == 1.0
    assert merged["tied"] is (model == "model")


def test_embeddings_are_trained_behind_a_base_of_16_bits(made: dict[str, Any]) -> None:
    whole, half = made["model"]["through"]["lines"], made["model"]["bfloat16"]["lines"]

    assert [line["loss"] for line in half] == pytest.approx([line["loss"] for line in whole], rel=0.01)
