"""Which models this loop computes, the shapes of their projections, and their weights by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tasks.training.plan.shape import has_head_norms

SHAPES = ("llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma3_text")
"""Model types whose layers are exactly what is computed here: Qwen 2 and 2.5 have biases of q, k and v, Qwen 3 norms of
q and k, SmolLM3 layers without rotary positions, Gemma 3 norms on both sides of a sublayer, scaled embeddings and
GeGLU.
"""
GELU = "gelu_pytorch_tanh"


def supported(config: Any) -> str | None:
    """Why the model of transformers' configuration `config` cannot be trained here, or None."""
    if config.model_type not in SHAPES:
        return f"model type {config.model_type}"
    wanted = GELU if is_gemma(config) else "silu"
    if activation(config) != wanted:
        return f"activation {activation(config)}"
    for name in ("final_logit_softcapping", "attn_logit_softcapping", "use_bidirectional_attention"):
        if getattr(config, name, None):
            return name
    return None


def is_gemma(config: Any) -> bool:
    """Whether the layers are Gemma's."""
    return bool(config.model_type == "gemma3_text")


def activation(config: Any) -> str:
    """Of the MLP's gate, as transformers calls it."""
    return str(config.hidden_activation if is_gemma(config) else config.hidden_act)


def biased(config: Any) -> set[str]:
    """Projections of a layer that have a bias."""
    attention = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}
    names = attention if config.model_type == "qwen2" else set()
    if getattr(config, "attention_bias", False):
        names = attention | {"self_attn.o_proj"}
    if getattr(config, "mlp_bias", False):
        names = names | {name for name in shapes(config) if name.startswith("mlp.")}
    return names


def rotation(config: Any, layer: int) -> str | None:
    """By which of the model's angles a layer turns q and k: Gemma has two, others one, called "".

    None: a layer without rotary positions.
    """
    if is_gemma(config):
        return str(config.layer_types[layer])
    return None if config.model_type == "smollm3" and not config.no_rope_layers[layer] else ""


def window(config: Any, layer: int) -> int | None:
    """How many tokens a token of a layer sees, itself the last of them; None = all before it."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and kinds[layer] != "sliding_attention":
        return None
    width = getattr(config, "sliding_window", None)
    return None if width is None else int(width)


def norms(config: Any) -> dict[str, str | None]:
    """Names of a layer's norms by what they do; None = there is no such norm."""
    gemma, heads = is_gemma(config), has_head_norms(config)
    return {
        "before_attention": "input_layernorm",
        "after_attention": "post_attention_layernorm" if gemma else None,
        "before_mlp": "pre_feedforward_layernorm" if gemma else "post_attention_layernorm",
        "after_mlp": "post_feedforward_layernorm" if gemma else None,
        "queries": "self_attn.q_norm" if heads else None,
        "keys": "self_attn.k_norm" if heads else None,
    }


def norm_weight(config: Any, weight: torch.Tensor) -> torch.Tensor:
    """What a norm multiplies by: Gemma stores its distance from 1, and multiplies in 32 bits."""
    return 1 + weight.float() if is_gemma(config) else weight


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
