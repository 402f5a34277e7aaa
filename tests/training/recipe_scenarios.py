"""Trainings that are held near the base, in the child of `scenarios.py`, and trainings whose embeddings are trained, in
one of their own: what their files say when others read them.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from tasks.model.child_main import Report
from tests.training.scenarios import attempt

RATE, EMBEDDING_RATE = 1e-3, 1e-4
MODELS = ("model", "untied")
PLAIN = {"schedule": "constant", "warmup_fraction": 0.0, "learning_rate": RATE}


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The request has `folder`, `table`, `with_replay` (the same with a row of replay) and `model`."""
    folder = Path(request["folder"])
    found: dict[str, Any] = {"divergences": formulas()}
    quick = {"epochs": 4, "learning_rate": 1e-2}
    for name, changes in {"free": quick, "near": quick | {"kl_weight": 30.0, "kl_rows": "all"}}.items():
        through = attempt(request, folder / name, "trl", **changes)
        found[name] = through | {"drift": divergence(request["model"], folder / name / "out")}
    found["refused"] = attempt(request, folder / "refused", "trl", kl_weight=1.0)
    found["replay"] = attempt(request | {"table": request["with_replay"]}, folder / "replay", "trl", kl_weight=1.0)
    both = {"kl_weight": 1.0, "kl_rows": "all", "embedding_learning_rate": EMBEDDING_RATE}
    attempt(request, folder / "resumed", "trl", stop_at=4, **both)
    found["both"] = attempt(request, folder / "both", "trl", **both)
    found["resumed"] = attempt(request, folder / "resumed", "trl", **both)
    return found


def run_embeddings(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The request has `folder`, `table`, `held_out`, `model` and `untied` (a model whose output layer is its own)."""
    folder = Path(request["folder"])
    return {name: embeddings(request | {"model": request[name], "looks": 1}, folder / name) for name in MODELS}


def embeddings(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One step at a constant rate, where AdamW moves every weight that has a gradient by the rate; then a whole run."""
    from safetensors.torch import load_file

    recipe = PLAIN | {"embedding_learning_rate": EMBEDDING_RATE}
    one = attempt(request, folder / "one", "trl", epochs=1, batch_size=5, **recipe)
    saved = load_file(folder / "one" / "out" / "adapter_model.safetensors")
    base = load_file(Path(request["model"]) / "model.safetensors")
    embedding, head = "model.embed_tokens.weight", "lm_head.weight"
    base = {head: base[embedding]} | base  # of a tied model PEFT saves it under both names
    moved = {
        name: float((saved[f"base_model.model.{name}"] - base[name].float()).abs().max()) for name in (embedding, head)
    }
    same = saved[f"base_model.model.{embedding}"].equal(saved[f"base_model.model.{head}"])
    b = max(float(tensor.abs().max()) for name, tensor in saved.items() if "lora_B" in name)
    through = attempt(request, folder / "through", "trl", **recipe)
    made = {"one": one, "moved": moved, "moved_b": b, "tied": same, "through": through}
    made["dtypes"] = sorted({str(tensor.dtype) for tensor in saved.values()})
    made["reloaded"] = reloaded(request, folder / "through" / "out")
    made["merged"] = merged(request, folder / "through" / "out", folder / "merged")
    if same:
        made["bfloat16"] = attempt(request, folder / "bfloat16", "trl", **(recipe | {"precision": "bfloat16"}))
    return made


def reloaded(request: dict[str, Any], adapter: Path) -> float:
    """Loss of the held-out row by the saved adapter, through PEFT and transformers alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter).eval()
    row = json.loads(Path(request["held_out"]).read_text("utf-8").splitlines()[0])
    ids, labels = torch.tensor(row["input_ids"]), torch.tensor(row["labels"])
    with torch.no_grad():
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
    return float(torch.nn.functional.cross_entropy(logits, labels[1:]))


def merged(request: dict[str, Any], adapter: Path, target: Path) -> dict[str, Any]:
    """The export's own measure of how far the merged model is from the adapter."""
    from tasks.model.convert import merge
    from tasks.model.request import MergeRequest
    from tasks.release.compare_job import compare
    from tasks.release.requests import CompareRequest

    nothing = {"model": request["model"], "adapter": str(adapter)}
    merge(MergeRequest.model_validate(nothing | {"target": str(target)}), lambda event: None)
    for file in Path(request["model"]).glob("tokenizer*"):
        shutil.copy(file, target)
    prompts = {"prompts": [[40, 50, 60]], "texts": [], "max_new_tokens": 8, "stop_ids": [], "pad_id": 0}
    asked = CompareRequest.model_validate(nothing | prompts | {"exports": {"merged": str(target)}})
    measured = compare(asked, lambda event: None)
    facts: dict[str, Any] = measured["exports"]["merged"]
    tied = json.loads((target / "config.json").read_text("utf-8"))["tie_word_embeddings"]
    return facts | {"tied": tied}


def divergence(model: str, adapter: Path) -> float:
    """Mean KL(base || tuned) over a general text, by transformers and torch alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "Water boils at a lower temperature on a mountain, because the air presses on it less there."
    ids = AutoTokenizer.from_pretrained(model)(text, return_tensors="pt")["input_ids"]
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), adapter).eval()
    with torch.no_grad():
        ours = tuned(input_ids=ids).logits[0].log_softmax(-1)
        with tuned.disable_adapter():
            base = tuned(input_ids=ids).logits[0].log_softmax(-1)
    return float((base.exp() * (base - ours)).sum(-1).mean())


def formulas() -> dict[str, float]:
    """Our divergence and its gradients against torch's, computed in several chunks, both for a frozen and for a trained
    output layer.
    """
    import torch

    from tasks.training import losses

    losses.CHUNK_LOGITS, chunk = 4 * 3 * 50, losses.CHUNK_LOGITS  # three tokens at a time
    generator = torch.Generator().manual_seed(0)
    hidden, base = (torch.randn(8, 16, generator=generator) for _ in range(2))
    weight, base_weight = (torch.randn(50, 16, generator=generator) for _ in range(2))
    scales = torch.arange(1.0, 9.0)
    worst: dict[str, float] = {}
    for name, trained in (("frozen", False), ("trained", True)):
        other = base_weight if trained else weight
        made = []
        for ours in (True, False):
            h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_(trained)
            if ours:
                kl = losses.divergences(h, w, base, other)
            else:
                target = (base @ other.T).softmax(-1)
                kl = torch.nn.functional.kl_div((h @ w.T).log_softmax(-1), target, reduction="none").sum(-1)
            (kl * scales).sum().backward()
            made.append([kl.detach(), h.grad] + ([w.grad] if trained else []))
        worst[name] = max(float((one - two).abs().max()) for one, two in zip(*made, strict=True))
    losses.CHUNK_LOGITS = chunk
    return worst
