"""The child job that writes a merged model as GGUF, the format of llama.cpp and Ollama.

llama.cpp's own converter is no package (what PyPI has of it replaces the `gguf` package that transformers reads with),
so the Llama family is written here with that package: its names, its quantisation, its file layout. Tensor order and
metadata follow convert_hf_to_gguf.py (llama.cpp, class LlamaModel); query and key rows are permuted because llama.cpp
rotates neighbouring dimensions where transformers rotates halves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType, get_tensor_name_map
from gguf.quants import quantize
from safetensors import safe_open

from tasks.base.errors import InputError
from tasks.model.child_main import Report
from tasks.release.requests import GgufRequest

FAMILY = ("llama", "mistral")
FILE_TYPES = {"Q8_0": LlamaFileType.MOSTLY_Q8_0, "Q4_0": LlamaFileType.MOSTLY_Q4_0}
BLOCK = 32
"""Both quantisations work on blocks of 32 weights of a row."""

WIDE = ("token_embd.weight", "output.weight")
"""Kept at 8 bits in a 4-bit file, as llama.cpp does: they are met at every token."""


def write(request: GgufRequest, report: Report) -> dict[str, Any]:
    """Writes one file.

    Args:
        request: what is written where; also as a JSON object.
        report: called after each tensor.

    Raises:
        InputError: the model is of another family, or scales its positions.
    """
    request = GgufRequest.model_validate(request)
    folder = request.model
    config = json.loads((folder / "config.json").read_text("utf-8"))
    _check(config)
    writer = GGUFWriter(str(request.target), "llama", use_temp_file=True)
    _add_architecture(writer, config, request.name, FILE_TYPES[request.quantization])
    _add_tokenizer(writer, folder, config)
    _add_tensors(writer, folder, config, GGMLQuantizationType[request.quantization], report)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {"bytes": request.target.stat().st_size}


def _check(config: dict[str, Any]) -> None:
    if config["model_type"] not in FAMILY:
        raise InputError(
            f"release.gguf: models of type {config['model_type']} are not written as GGUF here; publish merged weights "
            "and use llama.cpp's converter"
        )
    if _rope(config).get("rope_type", "default") != "default":
        raise InputError("release.gguf: the base model scales its positions, which is not written as GGUF here")


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def _add_architecture(writer: Any, config: dict[str, Any], name: str, file_type: Any) -> None:
    heads = config["num_attention_heads"]
    writer.add_name(name)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_rope_freq_base(float(_rope(config).get("rope_theta") or config.get("rope_theta") or 10000.0))
    size = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)  # llama.cpp would take hidden size / heads, which some models' heads are not
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)


def _add_tokenizer(writer: Any, folder: Path, config: dict[str, Any]) -> None:
    document = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    model = document["model"]
    if model["type"] != "BPE":
        raise InputError(f"release.gguf: tokenizers of type {model['type']} are not written as GGUF here")
    tokens, types = vocabulary(document, config["vocab_size"])
    pieces = has_byte_tokens(document)
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    if not pieces:
        writer.add_tokenizer_pre(pretokenizer(document))
    writer.add_token_list(tokens)
    if pieces:  # ids of merged tokens are their ranks, so they stand in for SentencePiece's scores
        writer.add_token_scores([-float(rank) for rank in range(len(tokens))])
    writer.add_token_types([int(kind) for kind in types])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    unknown = document["model"].get("unk_token")
    if unknown is not None:
        writer.add_unk_token_id(tokens.index(unknown))
    for kind in ("bos", "eos", "pad"):
        found = config.get(f"{kind}_token_id")
        if found is not None:
            getattr(writer, f"add_{kind}_token_id")(found[0] if isinstance(found, list) else found)
    writer.add_add_bos_token(False)  # the chat template writes it where the model has one
    writer.add_add_space_prefix(pieces)
    writer.add_chat_template((folder / "chat_template.jinja").read_text("utf-8"))


def vocabulary(document: dict[str, Any], size: int) -> tuple[list[str], list[TokenType]]:
    """Tokens by id with their types; ids without a token get a name that no text has."""
    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [TokenType.UNUSED] * size
    pieces = has_byte_tokens(document)
    for token, number in document["model"]["vocab"].items():
        tokens[number] = token
        is_byte = pieces and len(token) == 6 and token.startswith("<0x")
        types[number] = TokenType.BYTE if is_byte else TokenType.NORMAL
    for added in document["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    return tokens, types


def has_byte_tokens(document: dict[str, Any]) -> bool:
    """Whether unknown characters become tokens such as <0x0A> (SentencePiece's way, as Mistral's) instead of being
    spelt in GPT-2's alphabet of bytes. The tokenizer's own `byte_fallback` does not tell: transformers sets it on both.
    """
    return "<0x00>" in document["model"]["vocab"]


def pretokenizer(document: dict[str, Any]) -> str:
    """llama.cpp's name for how text is split before merging."""
    described = json.dumps(document.get("pre_tokenizer") or {})
    if '"Digits"' in described:
        return "smollm"
    return "llama-bpe" if "{1,3}" in described else "gpt-2"


def _add_tensors(writer: Any, folder: Path, config: dict[str, Any], wanted: Any, report: Report) -> None:
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    places = sorted((name, file) for file in sorted(folder.glob("*.safetensors")) for name in _names(file))
    for number, (name, file) in enumerate(places, 1):
        with safe_open(file, framework="pt") as reader:
            weight = reader.get_tensor(name).float().numpy()
        for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if name.endswith(f"{part}.weight"):
                weight = permuted(weight, config.get(heads) or config["num_attention_heads"])
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise InputError(f"release.gguf: llama.cpp has no place for the weight {name}")
        kind = _kind(target, weight, wanted)
        writer.add_tensor(target, quantize(weight, kind), raw_dtype=kind)
        report({"done": number, "total": len(places), "unit": "tensors"})


def _names(file: Path) -> list[str]:
    with safe_open(file, framework="pt") as reader:
        return list(reader.keys())


def _kind(name: str, weight: np.ndarray[Any, Any], wanted: Any) -> Any:
    if weight.ndim == 1:
        return GGMLQuantizationType.F32
    if weight.shape[-1] % BLOCK:
        return GGMLQuantizationType.F16
    return GGMLQuantizationType.Q8_0 if name in WIDE else wanted


def permuted(weight: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of a query or key matrix [heads * size, inputs] with each head's two halves interleaved."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
