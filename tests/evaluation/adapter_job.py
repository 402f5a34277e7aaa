"""Child job of the tests: PEFT adapters that were never trained."""

from pathlib import Path
from typing import Any

import torch

from tasks.model.child_main import Report


def make(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Writes an adapter: `scale` 0 leaves the model as it is, a large one ruins it with noise (seed 0)."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(request["model"])
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            weight.data = request["scale"] * torch.randn_like(weight)
    tuned.save_pretrained(request["target"])
    Path(request["target"], "loss.jsonl").write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.5}\n')
    Path(request["target"], "README.md").unlink(missing_ok=True)
    return {}
