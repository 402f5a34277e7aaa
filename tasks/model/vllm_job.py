"""The child job of writing with vLLM, in the interpreter of an environment that has it.

Losses and likeliest tokens are measured elsewhere (`scoring.py`). Prompts go to the engine in the same log of finished
batches, so an interrupted job goes on where it was; the engine batches by itself, so these batches are large.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tasks.model.child_main import Report
from tasks.model.convert import rank_limit
from tasks.model.generate import Continuation, Manner, Prompt, continuation, read_prompts, write_all
from tasks.model.request import VllmRequest

BATCH_TOKENS: Final = 1_000_000
"""Prompt and new tokens that are handed to the engine at once, and lost if the job dies."""
MOST_ROWS: Final = 1 << 20


def write(request: VllmRequest, report: Report) -> dict[str, Any]:
    """Continues the prompts.

    Returns:
        `answers`: per prompt, in order, `{ids, tokens, finished}`; `seconds`, `device` and `dtype`.
    """
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # one process, ended with this one
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; read on a CPU only
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.platforms import current_platform

    began = time.monotonic()
    prompts = read_prompts(request.prompts)
    longest = max((len(prompt.ids) + prompt.limit for prompt in prompts), default=1)
    lora = {"enable_lora": True, "max_loras": 1, "max_lora_rank": served_rank(request.adapter)}
    dtype = "bfloat16" if request.precision == "auto" else request.precision
    engine = LLM(
        model=str(request.model),
        dtype=dtype,
        max_model_len=longest + 1,
        skip_tokenizer_init=True,
        enforce_eager=current_platform.is_cpu(),
        seed=0,
        **(lora if request.adapter else {}),
    )
    tuned = LoRARequest("tuned", 1, str(request.adapter)) if request.adapter else None
    manner = Manner(request.stop_ids, request.pad_id, request.sampled, request.seed)
    loaded = time.monotonic()

    def batch(names: Sequence[str], asked: Sequence[Prompt]) -> list[Continuation]:
        stops = list(asked[0].stops or request.stop_ids)
        sampling = [
            SamplingParams(
                temperature=float(request.sampled),
                seed=manner.seed_of(name),
                max_tokens=prompt.limit,
                stop_token_ids=stops,
                detokenize=False,
            )
            for name, prompt in zip(names, asked, strict=True)
        ]
        inputs = [{"prompt_token_ids": list(prompt.ids)} for prompt in asked]
        outputs = engine.generate(inputs, sampling, lora_request=tuned, use_tqdm=False)
        return [continuation(list(one.outputs[0].token_ids), stops) for one in outputs]

    answers = write_all(batch, prompts, report, request.finished, BATCH_TOKENS, MOST_ROWS, asdict(manner))
    seconds = {"load": round(loaded - began, 3), "generate": round(time.monotonic() - loaded, 3)}
    device = "cpu" if current_platform.is_cpu() else str(current_platform.get_device_name())
    return {"answers": [asdict(one) for one in answers], "seconds": seconds, "device": device, "dtype": dtype}


def served_rank(adapter: Path | None) -> int:
    """The smallest rank limit of vLLM that the adapter fits; adapters that fit none are merged before."""
    if adapter is None:
        return 0
    return rank_limit(json.loads((adapter / "adapter_config.json").read_text("utf-8"))["r"])
