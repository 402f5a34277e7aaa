"""Training by TRL's SFTTrainer with PEFT. Runs in the child only.

The table goes in as it is: rows are looked up by number, so TRL neither tokenises, packs nor truncates. What is
added to the trainer: the order of the rows, losses per source, and checkpoints that are whole or absent.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.base.errors import InputError
from tasks.base.records import IGNORED
from tasks.model.holding import held
from tasks.model.loading import dtype_of
from tasks.training.adapter import lora_config
from tasks.training.checkpoints import Checkpoints
from tasks.training.journal import Journal, read_lines
from tasks.training.params import Precision, TrainingParams
from tasks.training.ranks import world
from tasks.training.table import Rows, Table, row_order
from tasks.training.trl_trainer import hidden_states, tensors, trainer_class

NO_ROW: Final = -1
"""Fills the last step up where rows do not suffice for all processes; otherwise accelerate would repeat some."""

EMPTY: Final = Rows(*(np.array(values, dtype=np.int64) for values in ([0, 0], [IGNORED] * 2, [0, 1], [0, 0])))
"""What stands in its place: nothing to learn."""


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
    made = fit(start, table, model_folder, params, journal, checkpoints, out)
    if params.shard_base:
        from tasks.training.sharding import share_held

        made["share_of_base"] = share_held(start.model)
    return {"backend": "trl", "attention": "sdpa"} | made


def _split(model: Any, params: TrainingParams) -> Any:
    """The model with its adapter, which begins as the trainer would begin it, and its base split over the group."""
    from peft import get_peft_model
    from transformers import set_seed

    from tasks.training.sharding import split

    if world() == 1:
        raise InputError(
            "training.shard_base: one process has nothing to split with; it takes as many GPUs as divide batch_size"
        )
    set_seed(params.seed)
    made = get_peft_model(model, lora_config(params))
    split(made)
    return made


def quantisation(dtype: Any) -> Any:
    """How transformers and bitsandbytes hold a base in 4 bits: NF4, block scales quantised too, products in `dtype`.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            "training.precision: nf4 needs bitsandbytes, which is not installed; pip install 'rawtune[gpu]', "
            "or choose auto"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


@dataclass(frozen=True)
class Start:
    """A loaded model, ready for the trainer."""

    model: Any
    peft_config: Any
    """Null where the model carries its adapter already."""
    recompute: bool
    states: Callable[[Any, Any, dict[str, Any]], Any]
    """As `hidden_states`."""


def fit(
    start: Start,
    table: Table,
    model_folder: Path,
    params: TrainingParams,
    journal: Journal,
    checkpoints: Checkpoints,
    out: Path,
) -> dict[str, Any]:
    """Trains a loaded model and writes the adapter to `out`.

    Returns:
        Precision, micro-batch, recompute, and the step that the run was resumed at.
    """
    import torch
    from datasets import Dataset
    from trl import SFTConfig

    on_cpu, dtype = not torch.cuda.is_available(), dtype_of(params.precision)
    order = row_order(len(table), params.epochs, params.seed)
    # as the planner counts; a split base and a CPU have no 8-bit moments
    eight_bit = not (on_cpu or params.shard_base) and importlib.util.find_spec("bitsandbytes") is not None
    config = SFTConfig(
        output_dir=str(checkpoints.root),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=params.batch_size // world(),
        ddp_backend="gloo" if on_cpu and world() > 1 else None,
        ddp_find_unused_parameters=False if world() > 1 else None,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        num_train_epochs=1,
        seed=params.seed,
        # the adapter is kept in float32; on a GPU its products run in the base's precision
        bf16=not on_cpu and dtype == torch.bfloat16,
        fp16=not on_cpu and dtype == torch.float16,
        use_cpu=on_cpu,
        gradient_checkpointing=start.recompute,
        optim="adamw_8bit" if eight_bit else "adamw_torch_fused",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
    )
    trainer = trainer_class()(
        model=start.model,
        args=config,
        train_dataset=Dataset.from_dict({"row": order + [NO_ROW] * (-len(order) % world())}),
        data_collator=lambda items: collate(table, [item["row"] for item in items]),
        processing_class=_tokenizer(model_folder),
        peft_config=start.peft_config,
    )
    trainer.prepare(params, journal, checkpoints, start.states)
    found = checkpoints.latest()
    if found:
        journal.resume(read_lines(found[0] / "loss.jsonl"), found[1]["seconds"])
        checkpoints.resumed(found[1]["step"])
    trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
    trainer.model.save_pretrained(out)
    if start.peft_config is not None:
        trainer.model.unload()  # the base is as it was before, for the next job of this process
    four_bit = params.precision is Precision.NF4
    return {
        "base_precision": "nf4" if four_bit else str(dtype).removeprefix("torch."),
        "micro_batch_rows": 1,
        "recompute": "full" if start.recompute else "none",
        "measured_peak_bytes": None if on_cpu else torch.cuda.max_memory_allocated(),
        "resumed_at": found[1]["step"] if found else 0,
    }


@functools.cache
def _tokenizer(model_folder: Path) -> Any:
    """TRL wants one, though it has nothing to read."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_folder)


def collate(table: Table, indices: list[int]) -> dict[str, Any]:
    """Rows side by side as one batch of one: `input_ids`, `labels`, `position_ids`, `sources`, each int64 `[1, T]`.

    No attention mask: transformers then keeps the documents apart by their positions, while a mask of ones would let
    them see each other.
    """
    chosen = [index for index in indices if index != NO_ROW]
    return tensors(table.side_by_side(chosen) if chosen else EMPTY)
