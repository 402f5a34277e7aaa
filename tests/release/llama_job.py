"""Child jobs that answer the same prompts with the adapter as trained and with its GGUF file in llama.cpp."""

import math
from pathlib import Path
from typing import Any

from tasks.model.child_main import Report

SHAPES: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen3": {},
    "smollm3": {"no_rope_layers": [1, 1, 1, 0], "num_hidden_layers": 4},
    "gemma3_text": {
        "num_hidden_layers": 6,
        "sliding_window_pattern": 6,
        "query_pre_attn_scalar": 32,
        "tie_word_embeddings": True,
    },
}
"""By architecture, as llama.cpp has it built in: every fourth layer of SmolLM3 is without positions, every sixth of
Gemma sees everything.
"""
ALTERNATIVES = 50
"""So many tokens have their probability told at each place."""


def trained(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Greedy answers of base and adapter in transformers, in 32 bits, and the log-probability of each token."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32)
    model = PeftModel.from_pretrained(base, request["adapter"]).eval()
    answers = []
    for prompt in request["prompts"]:
        with torch.inference_mode():
            made = model.generate(
                input_ids=torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                do_sample=False,
                max_new_tokens=request["tokens"],
                eos_token_id=request["stop_ids"],
                pad_token_id=request["stop_ids"][0],
            )
        ids = made[0, len(prompt) :].tolist()
        answers.append({"ids": ids, "logprobs": _logprobs(model, prompt, ids)})
    return {"answers": answers}


def shapes(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Random models of the shapes that `fast` trains beside Llama's as GGUF: how far llama.cpp is from transformers.

    Returns:
        architecture → quantisation → the divergence that `verify-export` measures, in nats a token; and `same_ids`.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tasks.release.compare_job import GgufModel, told_divergence
    from tasks.release.gguf_job import write
    from tasks.release.requests import GgufRequest
    from tests.training.scenarios import random_model

    tokenizer, ids = AutoTokenizer.from_pretrained(request["tokenizer"]), list(range(100, 140))
    usual: dict[str, Any] = {"vocab_size": len(tokenizer), "hidden_size": 256, "intermediate_size": 512}
    found: dict[str, Any] = {}
    for name, special in SHAPES.items():
        folder = Path(request["folder"]) / name
        random_model(name, folder, **usual | special)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        model.get_output_embeddings().weight.data *= 8  # answers that are sure of something
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        with torch.inference_mode():
            expected = model.float()(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        write(GgufRequest(model=folder, folder=folder, quantizations=("Q8_0", "Q4_K_M"), name="it"), report)
        made = {}
        for quantization in ("Q8_0", "Q4_K_M"):
            file = GgufModel(folder / f"it-{quantization}.gguf", len(ids))
            made[quantization] = sum(
                told_divergence(expected[place], file.next(ids[: place + 1])) for place in range(3, len(ids), 4)
            ) / len(range(3, len(ids), 4))
            made["same_ids"] = file.tokens(request["text"]) == tokenizer(request["text"])["input_ids"]
        found[name] = made
    return found


def in_transformers(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The log-probabilities that the GGUF file gives the trained adapter's answers where transformers reads it."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    path = Path(request["gguf"])
    wide = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32, quantization_config=wide
    ).eval()
    pairs = zip(request["prompts"], request["answers"], strict=True)
    return {"answers": [{"logprobs": _logprobs(model, prompt, answer["ids"])} for prompt, answer in pairs]}


def _logprobs(model: Any, prompt: list[int], ids: list[int]) -> list[float]:
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return [float(row[token]) for row, token in zip(logits, ids, strict=True)]


def in_llama_cpp(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The same by a GGUF file in llama.cpp, which is shown the trained adapter's answers token by token.

    Returns:
        `answers`: of each prompt, what it would say at each place (`ids`), the log-probability that it gives the
        trained adapter's token (`logprobs`), and by how much it prefers its own (`leads`); `chat`: text and length of
        the prompt (`prompt_tokens`) where it is asked the questions through the file's own chat template.
    """
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = request["gguf"]
    params.n_ctx = 512
    params.n_parallel = 1
    params.warmup = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # its threads spin while they wait for each other
    server = Server(params)
    answers = []
    for prompt, answer in zip(request["prompts"], request["answers"], strict=True):
        found: dict[str, list[Any]] = {"ids": [], "logprobs": [], "leads": []}
        for place, token in enumerate(answer["ids"]):
            options = {"max_tokens": 1, "temperature": 0, "logprobs": ALTERNATIVES}
            said = server.handle_completions({"prompt": [*prompt, *answer["ids"][:place]], **options})
            (first,) = said["choices"][0]["logprobs"]["content"]
            told = {one["id"]: one["logprob"] for one in first["top_logprobs"]}
            found["ids"].append(first["id"])
            found["logprobs"].append(told.get(token, -math.inf))
            found["leads"].append(first["logprob"] - found["logprobs"][-1])
        answers.append(found)
    chat = []
    for question in request["questions"]:
        messages = [{"role": "user", "content": question}]
        said = server.handle_chat_completions({"messages": messages, "max_tokens": request["tokens"], "temperature": 0})
        text = said["choices"][0]["message"]["content"]
        chat.append({"text": text, "prompt_tokens": said["usage"]["prompt_tokens"]})
    return {"answers": answers, "chat": chat}
