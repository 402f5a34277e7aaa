"""Parts of the recipe that PEFT's trainer alone knows: trained embeddings, and the divergence from the base."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.training.params import TrainingParams
from tests.training.recipe_scenarios import EMBEDDING_RATE, RATE


@pytest.fixture
def made(scenarios: dict[str, Any]) -> dict[str, Any]:
    """See `recipe_scenarios.py`."""
    return scenarios["recipe"]


@pytest.mark.parametrize("model", ["model", "untied"])
def test_embeddings_move_at_a_rate_of_their_own(made: dict[str, Any], model: str) -> None:
    """AdamW's first step moves every weight with a gradient by its group's rate."""
    assert list(made[model]["moved"].values()) == pytest.approx([EMBEDDING_RATE] * 2, rel=0.01)
    assert made[model]["moved_b"] == pytest.approx(RATE, rel=0.01)
    assert made[model]["tied"] is (model == "model")


@pytest.mark.parametrize("model", ["model", "untied"])
def test_embeddings_of_the_saved_adapter_are_what_was_trained(made: dict[str, Any], model: str) -> None:
    through = made[model]["through"]

    assert through["lines"][-1]["held_out"]["raw"] == pytest.approx(made[model]["reloaded"], abs=1e-5)
    assert sorted(through["files"]) == ["adapter_config.json", "adapter_model.safetensors", "loss.jsonl"]
    assert made[model]["dtypes"] == ["torch.float32"]


@pytest.mark.parametrize("model", ["model", "untied"])
def test_embeddings_are_in_the_merged_model(made: dict[str, Any], model: str) -> None:
    merged = made[model]["merged"]

    assert merged["divergence"] < 1e-5
    assert merged["agreement"] == 1.0
    assert merged["tied"] is (model == "model")


def test_embeddings_are_trained_behind_a_base_of_16_bits(made: dict[str, Any]) -> None:
    whole, half = made["model"]["through"]["lines"], made["model"]["bfloat16"]["lines"]

    assert [line["loss"] for line in half] == pytest.approx([line["loss"] for line in whole], rel=0.01)


def test_divergence_and_its_gradient_are_those_of_torch(made: dict[str, Any]) -> None:
    assert made["divergences"]["frozen"] < 1e-5
    assert made["divergences"]["trained"] < 1e-5


def test_kl_keeps_the_model_near_its_base_on_general_text(made: dict[str, Any]) -> None:
    free, near = made["free"], made["near"]

    assert near["drift"] < free["drift"] / 2
    assert near["lines"][0]["kl"] == 0  # B is zero: the model is its base
    assert near["lines"][-1]["kl"] > 0
    assert "kl" not in free["lines"][-1]


def test_kl_of_replay_rows_alone_needs_some(made: dict[str, Any]) -> None:
    assert made["refused"]["error"].startswith("InputError: training.kl_weight: the table has no replay rows; set")
    held = [line for line in made["replay"]["lines"] if "kl" in line]
    assert [line["step"] for line in held] == [
        line["step"] for line in made["replay"]["lines"] if "replay-chat" in line["losses"]
    ]


def test_kl_and_embeddings_resume_to_equal_bytes(made: dict[str, Any]) -> None:
    both, resumed = made["both"], made["resumed"]

    assert (both["lines"][0]["kl"], both["lines"][-1]["kl"] > 0) == (0, True)
    assert resumed["answer"]["resolved"]["resumed_at"] == 3
    assert resumed["files"] == both["files"]


@pytest.mark.parametrize("name", ["embedding_learning_rate", "kl_weight"])
def test_only_trl_does_them(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} needs backend trl or auto, not fast"):
        TrainingParams.model_validate({name: 0.1, "backend": "fast"})
    with pytest.raises(ValidationError, match=f"{name} does not go with shard_base"):
        TrainingParams.model_validate({name: 0.1, "shard_base": True})
