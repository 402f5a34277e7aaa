"""Training by Unsloth: its model and kernels under the trainer of `sft.py`. Runs in the child only, in an
environment that has Unsloth (see `train.py`).

This module is imported before trl, transformers and peft, since Unsloth patches them when it is imported itself.
Unsloth is a dependency that is asked for, never part of this program: its CPU backend is AGPL-3.0, its kernels
LGPL-3.0.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from tasks.base.errors import InputError, TrainingError
from tasks.training.adapter import lora_alpha
from tasks.training.checkpoints import Checkpoints
from tasks.training.journal import Journal
from tasks.training.params import Precision, TrainingParams
from tasks.training.table import Table

APART: Final = 0.05
"""A document behind another one must have the hidden states that it has alone, but for this share of what it differs
by when it sees the other one.
"""

RETURN_STATES: Final = "UNSLOTH_RETURN_HIDDEN_STATES"
"""Unsloth's switch; read in each forward pass."""


def load() -> Any:
    """Imports Unsloth with hidden states instead of logits, and nothing written beside the program."""
    os.environ[RETURN_STATES] = "1"
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(Path(tempfile.gettempdir()) / "unsloth_compiled_cache"))
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    return importlib.import_module("unsloth")


def train(
    table: Table, model_folder: Path, params: TrainingParams, journal: Journal, checkpoints: Checkpoints, out: Path
) -> dict[str, Any]:
    """Trains from the newest checkpoint, or from the start, to the end, and writes the adapter to `out`.

    Returns:
        What the machine made of the request.

    Raises:
        InputError: a 4-bit base is asked for and bitsandbytes does not do it here.
        TrainingError: this version of Unsloth lets the documents of a packed row see each other.
    """
    unsloth = load()
    import torch

    from tasks.model.loading import dtype_of
    from tasks.training.backends.sft import Start, fit, has_plain_head

    dtype, four_bit = dtype_of(params.precision), params.precision is Precision.NF4
    recompute = torch.cuda.is_available()
    model, _ = unsloth.FastLanguageModel.from_pretrained(
        str(model_folder), max_seq_length=max(table.lengths()), dtype=dtype, load_in_4bit=four_bit,
        use_gradient_checkpointing="unsloth" if recompute else False,
    )  # fmt: skip
    if recompute and not has_plain_head(model.config):
        raise InputError("training.backend: unsloth is not wired for models that scale or cap their logits; choose trl")
    if four_bit and getattr(model.config, "quantization_config", None) is None:
        raise InputError("training.precision: nf4 does not run on this machine; choose auto or bfloat16")
    model = unsloth.FastLanguageModel.get_peft_model(
        model, r=params.rank, lora_alpha=lora_alpha(params), lora_dropout=params.dropout, use_rslora=params.rslora,
        target_modules=list(params.linears), bias="none", random_state=params.seed,
        use_gradient_checkpointing="unsloth" if recompute else False,
    )  # fmt: skip
    if not documents_apart(model):
        raise TrainingError(
            f"unsloth {unsloth.__version__}: documents packed in one row see each other with this model; "
            "choose training.backend auto, fast or trl"
        )
    resolved = fit(Start(model, None, recompute, hidden_states), table, model_folder, params, journal, checkpoints, out)
    return {"backend": "unsloth", "unsloth": unsloth.__version__} | resolved


def hidden_states(model: Any, wrapped: Any, inputs: dict[str, Any]) -> Any:
    """As `sft.hidden_states`: Unsloth's own forward pass on a GPU returns them, its CPU backend is
    transformers'.
    """
    import torch

    from tasks.training.backends import sft

    positions = inputs["position_ids"]
    if not positions.is_cuda:
        return sft.hidden_states(model, wrapped, inputs)
    starts = (positions[0] == 0).nonzero()[:, 0]
    lengths = torch.diff(starts, append=starts.new_tensor([positions.shape[1]])).to(torch.int32)
    os.environ[RETURN_STATES] = "1"  # Unsloth's own for_inference, which the trainer calls, switches it off
    states = wrapped(**inputs, packed_seq_lengths=lengths, use_cache=False).logits
    if states.shape[-1] != model.config.get_text_config().hidden_size:
        raise TrainingError("unsloth returned no hidden states with this model; choose training.backend trl")
    return states


def documents_apart(model: Any) -> bool:
    """Whether the second of two documents in one row has the hidden states that it has alone.

    Measured on the loaded model, whatever kernel it uses: most attention implementations tell documents apart by
    masks that are easily lost (https://github.com/huggingface/transformers/issues/46634).
    """
    import torch

    generator, device = torch.Generator().manual_seed(0), next(model.parameters()).device
    ids = torch.randint(10, model.config.get_text_config().vocab_size, (1, 44), generator=generator).to(device)
    first, second = torch.arange(24, device=device), torch.arange(20, device=device)

    def states(start: int, positions: Any) -> Any:
        inputs = {"input_ids": ids[:, start:], "position_ids": positions[None]}
        return hidden_states(model, model, inputs)[0, 24 - start :]

    was = model.training
    model.eval()
    with torch.no_grad():
        packed, alone = states(0, torch.cat([first, second])), states(24, second)
        mixed = states(0, torch.arange(44, device=device))
    model.train(was)
    leak, control = (packed - alone).float().abs().mean(), (mixed - alone).float().abs().mean()
    return bool(leak <= APART * control)
