"""The child job that adds an adapter to its base model: for exports, and for engines that do not serve the adapter."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM

from tasks.model.child_main import Report
from tasks.model.request import MergeRequest


def merge(request: MergeRequest, report: Report) -> dict[str, Any]:
    """Writes base plus adapter as 16-bit safetensors.

    Each product of adapter matrices is added to its weight in 32 bits and rounded once; a sum in 16 bits would lose
    updates smaller than a 256th of a weight before they are added up.

    Returns:
        `parameters` of the merged model, `merged` matrices, and `rounding`: the norm of what the 16 bits took off the
            updates over the norm of the updates, null where PEFT's own merge was used. Near 1, the merged model is
            hardly the adapter any more.
    """
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
