"""Training by TRL's SFTTrainer with PEFT (see `sft.py`). Runs in the child only."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from tasks.base.errors import InputError
from tasks.model.holding import held
from tasks.model.loading import dtype_of
from tasks.training.adapter import lora_config
from tasks.training.backends.sft import Start, fit, hidden_states
from tasks.training.checkpoints import Checkpoints
from tasks.training.journal import Journal
from tasks.training.params import Precision, TrainingParams
from tasks.training.ranks import world
from tasks.training.table import Table


def train(
    table: Table, model_folder: Path, params: TrainingParams, journal: Journal, checkpoints: Checkpoints, out: Path
) -> dict[str, Any]:
    """Trains from the newest checkpoint, or from the start, to the end, and writes the adapter to `out`.

    Returns:
        What the machine made of the request: backend, precision, micro-batch, recompute.
    """
    import torch
    from transformers import AutoModelForCausalLM

    dtype = dtype_of(params.precision)
    quantised = quantisation(dtype) if params.precision is Precision.NF4 else None

    def load() -> Any:
        return AutoModelForCausalLM.from_pretrained(
            model_folder, dtype=dtype, attn_implementation="sdpa", quantization_config=quantised
        )

    comes_back = not params.shard_base and params.embedding_learning_rate is None
    model = held(f"trl, {model_folder} in {params.precision.value}" if comes_back else None, load)
    recompute = torch.cuda.is_available()  # on a CPU memory is not what runs out, and recomputing costs a fifth of it
    start = Start(model, lora_config(params, model), recompute, hidden_states)
    if params.shard_base:
        start = Start(_split(model, params), None, recompute, hidden_states)
    resolved = fit(start, table, model_folder, params, journal, checkpoints, out)
    if params.shard_base:
        from tasks.training.backends.sharding import share_held

        resolved["share_of_base"] = share_held(start.model)
    return {"backend": "trl", "attention": "sdpa"} | resolved


def _split(model: Any, params: TrainingParams) -> Any:
    """The model with its adapter, which begins as the trainer would begin it, and its base split over the group."""
    from peft import get_peft_model
    from transformers import set_seed

    from tasks.training.backends.sharding import split

    if world() == 1:
        raise InputError(
            "training.shard_base: one process has nothing to split with; it takes as many GPUs as divide batch_size"
        )
    set_seed(params.seed)
    adapted = get_peft_model(model, lora_config(params))
    split(adapted)
    return adapted


def quantisation(dtype: Any) -> Any:
    """How a base is held in 4 bits: NF4, block scales quantised too, products in `dtype`.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            "training.precision: nf4 needs bitsandbytes, which is not installed; pip install bitsandbytes, "
            "or choose auto"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
