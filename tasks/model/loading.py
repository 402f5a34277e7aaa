"""How every job loads a model: one rule for precision and device, and the adapter is never merged.

Imported by children only: it imports torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def device() -> torch.device:
    """Where a job computes: the current GPU, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def dtype_of(precision: str = "auto") -> Any:
    """The torch dtype that weights are kept and multiplied in where they are not quantised.

    `auto` is bfloat16 on a GPU that has it (8.0 and newer) and on a CPU that multiplies it (avx512_bf16 or AMX: 2.1
    times as fast as float32 there), float16 on older GPUs and float32 on other CPUs, where bfloat16 would be emulated.
    A model is trained, sampled, measured and served under this one rule.

    Args:
        precision: `auto`, a torch dtype's name, or how a base is quantised (`fp8`, `nf4`), beside which the rest of it
            is kept in bfloat16 where `auto` says so.
    """
    if precision == "fp8":
        return torch.bfloat16
    if precision not in ("auto", "nf4"):
        return getattr(torch, precision)
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def load(model: str | Path, adapter: str | Path | None = None, precision: str = "auto", **more: Any) -> Any:
    """The model on the device, in evaluation mode.

    Args:
        model: folder in Hugging Face's layout.
        adapter: PEFT's folder, or null. It stays beside the weights: a merge in 16 bits would drown small updates.
        precision: see `dtype_of`.
        more: further arguments of `from_pretrained`.
    """
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(str(model), dtype=dtype_of(precision), **more)
    if adapter is not None:
        from peft import PeftModel

        loaded = PeftModel.from_pretrained(loaded, str(adapter))
    return loaded.to(device()).eval()


def name_of(dtype: Any) -> str:
    """`bfloat16` of `torch.bfloat16`."""
    return str(dtype).removeprefix("torch.")


def device_name() -> str:
    """As the driver calls the GPU, or `cpu`."""
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"
