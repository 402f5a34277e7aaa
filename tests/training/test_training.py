"""Training itself, by both backends that run in this environment; one child does the work once (`scenarios.py`)."""

from typing import Any

import pytest

BACKENDS = ("trl", "fast")
TARGETS = 2 * (39 + (19 + 7) + 18 + (24 + 6) + (7 + 7 + 9))
"""First tokens of documents and masked prompts are no targets; two epochs."""


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_targets_seen_equal_targets_planned(scenarios: dict[str, Any], backend: str) -> None:
    through = scenarios[backend]["through"]

    assert through["answer"]["targets"] == TARGETS
    assert through["answer"]["steps"] == 5
    assert through["answer"]["tokens"] == 2 * (40 + 36 + 30 + 32 + 34)
    assert through["answer"]["resolved"]["backend"] == backend
    assert [line["step"] for line in through["lines"]] == [1, 2, 3, 4, 5]
    assert sum(line["targets"] for line in through["lines"]) == TARGETS
    by_source = {name for line in through["lines"] for name in line["losses"]}
    assert by_source == {"raw-file", "raw-pull", "raw-wiki", "dialogue-page"}
    assert sorted(through["files"]) == ["adapter_config.json", "adapter_model.safetensors", "loss.jsonl"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_interrupted_resumes_to_equal_bytes(scenarios: dict[str, Any], backend: str) -> None:
    made = scenarios[backend]

    assert made["kept"] == ["step-00000002", "step-00000003"]
    assert made["resumed"]["answer"]["resolved"]["resumed_at"] == 3
    assert made["resumed"]["files"] == made["through"]["files"]
    assert made["resumed"]["lines"] == made["through"]["lines"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_not_finite_stops_with_one_clear_line(scenarios: dict[str, Any], backend: str) -> None:
    error = scenarios[backend]["wild"]["error"]

    assert error.startswith("TrainingError: the ")
    assert "is not finite at step" in error
    assert "lower training.learning_rate" in error
    assert error.endswith("; no good checkpoint is there yet")


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_another_seed_gives_another_adapter(scenarios: dict[str, Any], backend: str) -> None:
    assert scenarios[backend]["other_seed"]["files"] != scenarios[backend]["through"]["files"]


def test_training_both_backends_take_the_same_first_loss_and_configuration(scenarios: dict[str, Any]) -> None:
    trl, fast = (scenarios[backend]["through"] for backend in BACKENDS)

    assert trl["lines"][0]["loss"] == pytest.approx(fast["lines"][0]["loss"], rel=1e-5)  # B is zero: the base's loss
    assert trl["files"]["adapter_config.json"] == fast["files"]["adapter_config.json"]
    assert [line["learning_rate"] for line in trl["lines"]] == [line["learning_rate"] for line in fast["lines"]]


def test_training_decoder_equals_transformers_with_peft(scenarios: dict[str, Any]) -> None:
    parity = scenarios["parity"]

    assert parity["loss"] < 1e-5
    assert parity["gradient"] < 1e-5
    assert parity["recomputed"] == 0.0


def test_training_packed_documents_have_the_losses_of_each_alone(scenarios: dict[str, Any]) -> None:
    assert scenarios["parity"]["packed"] < 1e-5


def test_training_out_of_memory_recomputes_more_and_loses_nothing(scenarios: dict[str, Any]) -> None:
    ample, tight = scenarios["scarce"]["ample"], scenarios["scarce"]["tight"]

    assert ample["answer"]["resolved"]["recompute"] == "0 of 2 layers"
    assert tight["answer"]["resolved"]["recompute"] == "1 of 2 layers"
    assert "out of memory: 1 layers recomputed" in tight["notes"]
    assert tight["lines"] == ample["lines"]
    assert tight["files"] == ample["files"]
    assert scenarios["scarce"]["hopeless"] == "OutOfMemoryError"  # all recomputed and still too much: said, not hidden


def test_training_losses_of_hidden_states_that_were_widened_are_the_same(scenarios: dict[str, Any]) -> None:
    assert scenarios["widened"]["difference"] == 0
    assert scenarios["widened"]["gradient"] > 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_on_a_base_that_an_earlier_job_has_trained_on_makes_the_same_bytes(
    scenarios: dict[str, Any], backend: str
) -> None:
    before, again = scenarios[backend]["held"]

    assert before["files"] != again["files"]
    assert again["files"] == scenarios[backend]["through"]["files"]
    assert again["lines"] == scenarios[backend]["through"]["lines"]
