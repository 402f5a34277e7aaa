"""Which models this loop computes, the shapes of their projections, and their weights by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SHAPES = ("llama", "mistral", "qwen2", "smollm3")
"""Model types whose layers are exactly what is computed here: Qwen 2 and 2.5 have biases of q, k and v, SmolLM3 has
layers without rotary positions.
"""


def supported(config: Any, longest: int) -> str | None:
    """Why the model cannot be trained here, or None.

    Args:
        config: transformers' configuration.
        longest: tokens of the longest row; a sliding window at least as long changes nothing.
    """
    if config.model_type not in SHAPES:
        return f"model type {config.model_type}"
    if config.hidden_act != "silu":
        return f"activation {config.hidden_act}"
    window = getattr(config, "sliding_window", None)
    if window is not None and window < longest:
        return f"sliding window of {window} tokens"
    return None


def biased(config: Any) -> set[str]:
    """Projections of a layer that have a bias."""
    attention = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}
    found = attention if config.model_type == "qwen2" else set()
    if getattr(config, "attention_bias", False):
        found = attention | {"self_attn.o_proj"}
    if getattr(config, "mlp_bias", False):
        found = found | {name for name in shapes(config) if name.startswith("mlp.")}
    return found


def rotates(config: Any, layer: int) -> bool:
    """Whether a layer has rotary positions."""
    return bool(config.no_rope_layers[layer]) if config.model_type == "smollm3" else True


def shapes(config: Any) -> dict[str, tuple[int, int]]:
    """(out, in) of every projection of a layer."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    hidden, inner = config.hidden_size, config.intermediate_size
    return {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }


def weight_reader(folder: Path, dtype: torch.dtype, device: torch.device) -> Callable[[str], torch.Tensor]:
    """Reads weights of a model folder by name from its safetensors files, sharded or not."""
    from safetensors import safe_open

    paths = sorted(folder.glob("*.safetensors"))
    files: dict[Path, Any] = {path: safe_open(str(path), framework="pt", device="cpu") for path in paths}
    where = {name: path for path, opened in files.items() for name in opened.keys()}  # noqa: SIM118 (no mapping)
    return lambda name: files[where[name]].get_tensor(name).to(device=device, dtype=dtype)
