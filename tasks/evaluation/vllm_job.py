"""The child job of answering with vLLM: greedy answers in the interpreter of an environment that has it.

Losses and divergences stay with `answer_job`. Prompts go to the engine in the same log of finished batches, so an
interrupted job goes on where it was; the engine batches by itself, so these batches are large.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from tasks.evaluation.answer_job import generate_all
from tasks.model.child_main import Report
from tasks.model.served import rank_limit

BATCH_TOKENS = 1_000_000
"""Prompt and answer tokens that are handed to the engine at once, and lost if the job dies."""


def answer(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Answers prompts.

    Args:
        request: as for `answer_job.answer`; `rows` are not looked at.
        report: called after each batch.

    Returns:
        `answers`, `seconds`, `device` and `dtype` as `answer_job.answer` does.
    """
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # one process, ended with this one
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; read on a CPU only
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.platforms import current_platform

    began = time.monotonic()
    prompts = [json.loads(line) for line in Path(request["prompts"]).read_text("utf-8").splitlines()]
    longest = max((len(prompt["ids"]) + prompt["limit"] for prompt in prompts), default=1)
    adapter = request["adapter"]
    lora = {"enable_lora": True, "max_loras": 1, "max_lora_rank": served_rank(adapter)} if adapter else {}
    engine = LLM(
        model=request["model"],
        dtype="bfloat16" if request["dtype"] == "auto" else request["dtype"],
        max_model_len=longest + 1,
        skip_tokenizer_init=True,
        enforce_eager=current_platform.is_cpu(),
        seed=0,
        **lora,
    )
    tuned = LoRARequest("tuned", 1, adapter) if adapter else None
    loaded = time.monotonic()

    def generate(ids: list[list[int]], limit: int) -> list[dict[str, Any]]:
        sampling = SamplingParams(temperature=0, max_tokens=limit, stop_token_ids=request["stop_ids"], detokenize=False)
        made = engine.generate([{"prompt_token_ids": one} for one in ids], sampling, lora_request=tuned, use_tqdm=False)
        return [_answer(list(one.outputs[0].token_ids), request["stop_ids"]) for one in made]

    answers = generate_all(generate, prompts, Path(request["finished"]), BATCH_TOKENS, report)
    seconds = {"load": round(loaded - began, 3), "generate": round(time.monotonic() - loaded, 3)}
    device = "cpu" if current_platform.is_cpu() else str(current_platform.get_device_name())
    return {"answers": answers, "seconds": seconds, "device": device, "dtype": "bfloat16"}


def served_rank(adapter: str) -> int:
    """The smallest rank limit of vLLM that the adapter fits; adapters that fit none are merged before."""
    rank = json.loads((Path(adapter) / "adapter_config.json").read_text("utf-8"))["r"]
    return rank_limit(rank)


def _answer(ids: list[int], stop_ids: list[int]) -> dict[str, Any]:
    end = next((position for position, token in enumerate(ids) if token in stop_ids), None)
    return {"ids": ids[:end], "tokens": len(ids), "finished": end is not None}
