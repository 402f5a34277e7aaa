"""A child job that loads a release as its users do, from the Hub by name, and answers greedily."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tasks.model.child_main import Report


def answers(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Greedy token ids of the questions by the adapter as trained and by the release as published."""
    name, revision = request["repo_id"], request["revision"]
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    generation = GenerationConfig.from_pretrained(name, revision=revision)
    found: dict[str, Any] = {"loaded_from": str(Path(tokenizer.name_or_path))}
    for arm, adapter, options in (("trained", request["adapter"], {}), ("released", name, {"revision": revision})):
        base = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32)
        model = PeftModel.from_pretrained(base, adapter, **options).eval()
        found[arm] = [_answer(model, tokenizer, generation, question) for question in request["questions"]]
    return found


def _answer(model: Any, tokenizer: Any, generation: Any, question: str) -> list[int]:
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        output = model.generate(**inputs, generation_config=generation, max_new_tokens=12)
    ids: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
    return ids
