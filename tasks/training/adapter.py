"""The adapter's files, in PEFT's own format whatever made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tasks.training.params import TrainingParams

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"


def lora_config(params: TrainingParams, model: Any = None) -> Any:
    """PEFT's configuration of the adapter that `params` ask for.

    Args:
        params: the recipe.
        model: what it is for; needed where embedding and output layer are trained, which have their names there.
    """
    from peft import LoraConfig

    whole = vocabulary_layers(model) if params.embedding_learning_rate else []

    return LoraConfig(
        r=params.rank,
        lora_alpha=lora_alpha(params),
        lora_dropout=params.dropout,
        use_rslora=params.rslora,
        target_modules=list(params.linears),
        bias="none",
        task_type="CAUSAL_LM",
        modules_to_save=whole or None,
        # an output layer that is the embedding stays that, in training, in the saved adapter and in a merge
        ensure_weight_tying=len(whole) == 1,
    )


def vocabulary_layers(model: Any) -> list[str]:
    """Names of a model's embedding and output layer; one name where they share their weights."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    layers = [embedding] if embedding.weight is head.weight else [embedding, head]
    return [name for name, module in model.named_modules() if any(module is layer for layer in layers)]


def lora_alpha(params: TrainingParams) -> float:
    """Alpha as PEFT's files have it: a whole number where it is one."""
    return int(params.alpha) if float(params.alpha).is_integer() else params.alpha


def tidy(folder: Path, base_name: str, revision: str | None) -> None:
    """Makes the folder's bytes depend on the run alone: no path of this machine, lists sorted, nothing but
    configuration and weights.

    PEFT writes the path that the base model was loaded from, and its sets in an order that changes between processes.
    """
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    config |= {"base_model_name_or_path": base_name, "revision": revision, "inference_mode": True}
    for name, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[name] = sorted(value)
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    for path in folder.iterdir():
        if path.name not in (CONFIG, WEIGHTS):
            path.unlink()
