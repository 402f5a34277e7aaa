"""Training itself, by both backends that run in this environment; one child does the work once (`scenarios.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.model.child import run_child
from tasks.text.general_text import general_texts
from tasks.text.loss_rows import general_rows
from tasks.text.tokenizer import TextTokenizer
from tasks.training.params import TrainingParams
from tests.training.conftest import ROWS, write_table
from tests.training.scenarios import ARCHITECTURES

BACKENDS = ("trl", "fast")
BOUNDS = ((1e-5, 5e-4), (1e-6, 1e-6))
"""Of losses in nats and of gradients' relative distance, in 32 bits and 64. Large biases make the keys' gradients small
differences, so that 32 bits leave 1e-4 of them; 64 show that no more is behind it.
"""
TARGETS = 2 * (39 + (19 + 7) + 18 + (24 + 6) + (7 + 7 + 9))
"""First tokens of documents and masked prompts are no targets; two epochs."""


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Any]:
    """What trainings in one process have made; see `scenarios.py`."""
    folder = tmp_path_factory.mktemp("training")
    for name, rows in {"table": ROWS, "with_replay": [*ROWS, [("replay-chat", 21, 4)]]}.items():
        (folder / name).mkdir()
        write_table(folder / name, rows)
    recipe = {"with_replay": str(folder / "with_replay")}
    general = general_rows(TextTokenizer.load(tiny_model), 32)
    sample = {"id": "s", "stream": "samples:raw", "input_ids": list(range(200, 230)), "labels": list(range(200, 230))}
    rows = [*map(vars, general), sample]
    (folder / "general.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
    recipe["general_text"] = str(folder / "general.jsonl")
    request = {"folder": str(folder), "table": str(folder / "table"), "model": str(tiny_model), "recipe": recipe}
    return run_child("tests.training.scenarios:run", request)


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


@pytest.mark.parametrize("wide", [False, True], ids=["32 bits", "64 bits"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_training_decoder_of_other_architectures_equals_transformers(
    scenarios: dict[str, Any], name: str, wide: bool
) -> None:
    """Biases, norms of heads, windows, layers without rotary positions, wide heads, scaled positions; packed and each
    document alone, labels and soft targets. In 64 bits both still compute norms and positions in 32.
    """
    found, loss, gradient = scenarios["architectures"][name][wide], *BOUNDS[wide]

    assert max(found["loss"], found["soft_loss"], found["packed"]) < loss
    assert max(found["gradient"], found["soft_gradient"]) < gradient
    assert found["recomputed"] == 0.0


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_training_layer_keeps_the_bytes_that_the_planner_counts(scenarios: dict[str, Any], name: str) -> None:
    there, planned = scenarios["kept"][name]
    assert there == planned


def test_training_8_bits_are_kept_from_layers_with_outlier_channels(scenarios: dict[str, Any]) -> None:
    """A model as it comes bears them; one layer of three with channels that dwarf the others stays in 16 bits; with all
    layers so the run does.
    """
    plain, one, every = (scenarios["precision"][name] for name in ("plain", "one", "all"))

    assert plain["layers_in_16_bits"] == []
    assert plain["together"]["direction"] > 0.98
    assert one["layers_in_16_bits"] == [1]
    assert one["layers"][1]["direction"] < 0.98 < min(one["layers"][number]["direction"] for number in (0, 2))
    assert one["told"].endswith("1 of 3 layers stay in 16 bits")
    assert every["layers_in_16_bits"] == [0, 1, 2]
    assert every["told"].endswith("the run stays in 16 bits")
    assert plain["left"] == one["left"] == every["left"] == 0.0  # no gradient is left for the first step


def test_training_adapters_on_the_mlp_alone_have_the_gradients_of_peft(scenarios: dict[str, Any]) -> None:
    assert scenarios["mlp_parity"]["loss"] < 1e-5
    assert scenarios["mlp_parity"]["gradient"] < 1e-5
    trl, fast = (scenarios[backend]["looking"]["mlp"] for backend in BACKENDS)
    assert trl["files"]["adapter_config.json"] == fast["files"]["adapter_config.json"]
    assert trl["lines"][0]["loss"] == pytest.approx(fast["lines"][0]["loss"], rel=1e-5)
    assert trl["tensors"] == fast["tensors"] == ["mlp.down_proj", "mlp.gate_proj", "mlp.up_proj"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_looks_at_general_text_and_is_not_changed_by_it(scenarios: dict[str, Any], backend: str) -> None:
    through, held = scenarios[backend]["through"], scenarios[backend]["looking"]["holds"]

    assert held["files"]["adapter_model.safetensors"] == through["files"]["adapter_model.safetensors"]
    assert [line["step"] for line in held["lines"] if "general" in line] == [1, 2, 3, 4, 5]
    streams = {f"general_loss:{domain}" for domain in general_texts()} | {"samples:raw"}
    assert held["lines"][0]["base"].keys() == held["lines"][0]["general"]["streams"].keys() == streams
    assert all(nats > 9 for nats in held["lines"][0]["base"].values())  # a random model has ln 49,152 = 10.8
    assert [line["step"] for line in held["lines"] if line.get("kept")] == [5]
    resolved = held["answer"]["resolved"]
    assert (resolved["kept_step"], resolved["planned_steps"]) == (5, 5)
    last = held["lines"][-1]["general"]
    assert resolved["general_loss_above_base"] == pytest.approx(last["above_base"], abs=1e-4)
    assert resolved["kl_to_base"] == pytest.approx(last["streams"]["samples:raw"], abs=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_keeps_the_last_adapter_within_its_general_loss(scenarios: dict[str, Any], backend: str) -> None:
    made, resumed = (scenarios[backend]["looking"][name] for name in ("exceeds", "resumed"))

    rises, bound = [line["general"]["above_base"] for line in made["lines"]], scenarios[backend]["looking"]["bound"]
    (kept,) = [line["step"] for line in made["lines"] if line.get("kept")]
    assert rises[kept - 1] <= bound < min(rises[kept:])
    assert kept < len(rises) == 5
    assert made["answer"]["resolved"]["kept_step"] == kept
    assert made["notes"][-1].endswith(f"{bound:g} allowed: keeps the adapter of step {kept}")
    assert made["rise"] == pytest.approx(rises[kept - 1], abs=1e-4)  # measured on the saved adapter
    assert resumed["files"] == made["files"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_that_ruins_the_model_is_stopped_at_the_first_look(scenarios: dict[str, Any], backend: str) -> None:
    error = scenarios[backend]["looking"]["stopped"]["error"]

    assert error.startswith("TrainingError: training.max_general_loss: the loss on general text is +")
    assert "nats above base at step 1, 1e-05 allowed, and no earlier look was within it; lower training" in error


def test_training_packed_documents_have_the_losses_of_each_alone(scenarios: dict[str, Any]) -> None:
    assert scenarios["parity"]["packed"] < 1e-5


def test_fast_decoder_with_soft_targets_is_autograd_through_transformers(scenarios: dict[str, Any]) -> None:
    parity = scenarios["parity"]
    assert parity["soft_loss"] < 1e-4
    assert parity["soft_gradient"] < 1e-4


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


def test_training_in_one_process_takes_one_gpu_of_a_machine_that_has_several(scenarios: dict[str, Any]) -> None:
    assert scenarios["arguments"] == {"gpus": 1, "rows": 1, "parts": 8}  # trl refuses what transformers would spread


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_on_a_base_that_an_earlier_job_has_trained_on_makes_the_same_bytes(
    scenarios: dict[str, Any], backend: str
) -> None:
    before, again = scenarios[backend]["held"]

    assert before["files"] != again["files"]
    assert again["files"] == scenarios[backend]["through"]["files"]
    assert again["lines"] == scenarios[backend]["through"]["lines"]


@pytest.fixture
def made(scenarios: dict[str, Any]) -> dict[str, Any]:
    """See `recipe_scenarios.py`."""
    return scenarios["recipe"]


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
