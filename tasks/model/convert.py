"""Child jobs that make model folders in Hugging Face's layout: from GGUF, at random, or by a merge.

Only the child imports the libraries. vLLM serves some adapters beside the base model; the others are merged into it
first.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from tasks.model.child_main import Report
from tasks.model.request import GgufSource, MergeRequest, RandomLlama

RANK_LIMITS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` may be: MaxLoRARanks in vllm/config/lora.py, v0.26.0."""
MAX_RANK: Final = RANK_LIMITS[-1]


def is_served(rank: int, embeddings: bool) -> bool:
    """Whether vLLM serves an adapter of that rank, with a trained embedding or output layer or without."""
    return rank <= MAX_RANK and not embeddings


def rank_limit(rank: int) -> int:
    """The smallest limit that an adapter of that rank fits; it must be one that is served."""
    return next(limit for limit in RANK_LIMITS if limit >= rank)


def stub_from_gguf(request: GgufSource, report: Report) -> dict[str, Any]:
    """Dequantises a GGUF file into a folder of Hugging Face's layout, with weights in bfloat16.

    It holds config.json, generation_config.json, model.safetensors, the tokenizer's files and chat_template.jinja.

    `GgufConfig(dequantize=True)` is needed: without it transformers 5 keeps the weights packed and refuses to save
    them.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    source, target = request.gguf, request.target
    _read_once()
    model = AutoModelForCausalLM.from_pretrained(
        str(source.parent),
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(target)
    _save_tokenizer(source, target)
    return {"parameters": sum(parameter.numel() for parameter in model.parameters())}


def tokenizer_from_gguf(request: GgufSource, report: Report) -> dict[str, Any]:
    """The tokenizer files alone: tokenizer.json, tokenizer_config.json, chat_template.jinja."""
    source, target = request.gguf, request.target
    _read_once()
    _save_tokenizer(source, target)
    return {}


def random_llama(request: RandomLlama, report: Report) -> dict[str, Any]:
    """A random Llama of a given shape beside a copied tokenizer; for tests and for benchmarks of shapes."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(request.seed)
    tokenizer = AutoTokenizer.from_pretrained(request.tokenizer)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **request.config,
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(request.target)
    tokenizer.save_pretrained(request.target)
    return {"parameters": sum(parameter.numel() for parameter in model.parameters())}


def _read_once() -> None:
    """Keeps what transformers 5.17 reads again at every turn: the file's header four times (3 s each), the names of its
    tensors once for every tensor.
    """
    import gguf

    gguf.GGUFReader = functools.cache(gguf.GGUFReader)
    gguf.get_tensor_name_map = functools.cache(gguf.get_tensor_name_map)


def _save_tokenizer(source: Path, target: Path) -> None:
    """The tokenizer with the special tokens that the file names: transformers 5.17 gives every GGUF tokenizer of this
    kind its beginning token as end token, which a server that reads `eos_token` would never see.
    """
    import gguf
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    fields = gguf.GGUFReader(str(source)).fields
    for role, name in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown")):
        field = fields.get(f"tokenizer.ggml.{name}_token_id")
        if field is not None:
            setattr(tokenizer, f"{role}_token", tokenizer.convert_ids_to_tokens(int(field.contents())))
    tokenizer.save_pretrained(target)


def merge(request: MergeRequest, report: Report) -> dict[str, Any]:
    """Writes base plus adapter as 16-bit safetensors.

    Each product of adapter matrices is added to its weight in 32 bits and rounded once; a sum in 16 bits would lose
    updates smaller than a 256th of a weight before they are added up.

    Returns:
        `parameters` of the merged model, `merged` matrices, and `rounding`: the norm of what the 16 bits took off the
            updates over the norm of the updates, null where PEFT's own merge was used. Near 1, the merged model is
            hardly the adapter any more.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(str(request.model), dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(base, str(request.adapter))
    if model.peft_config["default"].use_dora:  # a rescaling besides the sum: PEFT's own merge knows it
        merged, count, rounding = model.merge_and_unload(safe_merge=True), 0, None
    else:
        count, rounding = _add_updates(model, report)
        merged = model.unload()
    merged.save_pretrained(request.target)
    parameters = sum(parameter.numel() for parameter in merged.parameters())
    return {"parameters": parameters, "merged": count, "rounding": rounding}


def _add_updates(model: Any, report: Report) -> tuple[int, float | None]:
    from peft.tuners.lora import LoraLayer

    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    whole = lost = 0.0
    for number, layer in enumerate(layers, 1):
        weight = layer.get_base_layer().weight
        for name in layer.active_adapters:
            update = layer.get_delta_weight(name).float()
            wanted = weight.data.float() + update
            weight.data = wanted.to(weight.dtype)
            whole += float(update.double().square().sum())
            lost += float((weight.data.float() - wanted).double().square().sum())
        report({"done": number, "total": len(layers), "unit": "layers"})
    return len(layers), (lost / whole) ** 0.5 if whole else None
