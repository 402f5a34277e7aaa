"""Tokens/s of LoRA training on one GPU: TRL with PEFT, Unsloth, and rawtune's own loop, each in a process of its
own, in one run.

    python tests/benchmarks/train_gpu.py                      all variants, a table at the end
    python tests/benchmarks/train_gpu.py --only ours --batches 1

The model has the shape of Mistral-7B-Instruct-v0.2 with random bf16 weights (made once, in memory-backed storage
where there is any), rows are 8,192 random tokens, adapters on all linear layers with alpha = rank and dropout 0. A
time is the median of the steps after warm-up, from optimizer step to optimizer step.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

MISTRAL_7B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 32000,
    "max_position_embeddings": 32768,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
}
TOKENS = 8192
PEAK_BF16_FLOPS = 989e12
"""NVIDIA's figure for the H100 SXM without sparsity."""
VARIANTS = ("trl", "unsloth", "unsloth-unchecked", "ours-bf16", "ours")
STEPS = {1: (3, 10), 8: (1, 2)}
"""Warm-up and timed steps by batch."""


def flops_per_token(rank: int, tokens: int) -> float:
    """Operations per token, counting none twice: frozen products forward and back, adapters, causal attention."""
    hidden, inner, keys = MISTRAL_7B["hidden_size"], MISTRAL_7B["intermediate_size"], 1024
    into = 3 * hidden + hidden + 2 * hidden + inner
    out = hidden + 2 * keys + hidden + 2 * inner + hidden
    layer = 2 * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * inner)
    frozen = 2 * (layer * 32 + 2 * hidden * MISTRAL_7B["vocab_size"])
    adapters = 3 * 2 * rank * (into + out) * 32
    attention = 3.5 * 2 * tokens * hidden * 32
    return float(frozen + adapters + attention)


def config() -> Any:
    """The model's configuration."""
    from transformers import MistralConfig

    return MistralConfig(**MISTRAL_7B)


def row(number: int) -> list[int]:
    """A row of random tokens, the same for every variant."""
    import numpy as np

    return [int(token) for token in np.random.default_rng(number).integers(3, MISTRAL_7B["vocab_size"], TOKENS)]


def ours(variant: str, rank: int, attention: str = "auto") -> Callable[[int], Callable[[], float]]:
    """A function that, for a batch, gives one that makes an optimizer step and returns the loss of the one before."""
    import torch

    from tasks.training.fast.adapters import Adapters
    from tasks.training.fast.decoder import Decoder, shapes
    from tasks.training.fast.sites import Site
    from tasks.training.params import TrainingParams

    device, made = torch.device("cuda"), config()
    params = TrainingParams(rank=rank, alpha=rank, learning_rate=1e-4)
    generator = torch.Generator(device).manual_seed(0)
    known = shapes(made) | {"embed_tokens": (32000, 4096), "lm_head": (32000, 4096)}

    def read(name: str) -> torch.Tensor:
        shape = next((shape for part, shape in known.items() if part in name), None)
        if shape is None:
            return torch.ones(4096, dtype=torch.bfloat16, device=device)
        return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(0, 0.02, generator=generator)

    if variant == "ours-bf16":
        site: Any = Site
    else:
        from tasks.training.fast.fp8 import Fp8Site

        site = Fp8Site
    adapters = Adapters(shapes(made), 32, params, torch.bfloat16, device)
    decoder = Decoder(made, read, adapters, params.scale, site, attention)
    positions = torch.arange(TOKENS)

    def stepper(batch: int) -> Callable[[], float]:
        numbers = itertools.count()
        unread: list[Any] = []

        def prepared() -> list[torch.Tensor]:
            return [torch.tensor(row(next(numbers))) for _ in range(batch)]

        upcoming = prepared()

        def step() -> float:
            nonlocal upcoming
            total = torch.zeros((), device=device)
            for ids in upcoming:
                labels = ids.clone()
                labels[0] = -100
                total += decoder.forward_backward(ids, positions, labels, 1 / (batch * (TOKENS - 1))).sum()
            adapters.step(params.learning_rate, params.max_grad_norm, 0.0)
            decoder.refresh()
            upcoming = prepared()  # while the device works, as the backend's loop does
            host = torch.empty((), pin_memory=True)
            host.copy_(total, non_blocking=True)
            ready = torch.cuda.Event()
            ready.record()
            unread.append((host, ready))
            if len(unread) > 1:  # the step before: the device never waits for the host
                host, ready = unread.pop(0)
                ready.synchronize()
            return float(host) / (batch * (TOKENS - 1))

        return step

    return stepper


def measure_ours(variant: str, rank: int, batches: list[int]) -> Iterator[dict[str, Any]]:
    """Times steps of our own loop."""
    import torch

    stepper = ours(variant, rank)
    for batch in batches:
        step = stepper(batch)
        warm, timed = STEPS[batch]
        losses = [step() for _ in range(warm)]
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        losses += [step() for _ in range(timed)]
        torch.cuda.synchronize()
        # steps overlap, so their mean counts, the wait for the last one included
        seconds = (time.perf_counter() - started) / timed
        yield {"batch": batch, "seconds": seconds, "losses": losses, "peak": torch.cuda.max_memory_allocated()}


def measure_trainer(variant: str, rank: int, batches: list[int], folder: Path) -> Iterator[dict[str, Any]]:
    """Times steps of SFTTrainer, with Unsloth's model or with PEFT's."""
    if variant.startswith("unsloth"):
        from unsloth import FastLanguageModel  # first, before trl and transformers
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    peft_config = None
    if variant.startswith("unsloth"):
        model, tokenizer = FastLanguageModel.from_pretrained(
            str(folder), max_seq_length=TOKENS, dtype=torch.bfloat16, load_in_4bit=False
        )
        model = FastLanguageModel.get_peft_model(
            model, r=rank, lora_alpha=rank, lora_dropout=0, bias="none", target_modules=targets,
            use_gradient_checkpointing="unsloth" if variant == "unsloth" else False, random_state=0,
        )  # fmt: skip
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map={"": 0})
        tokenizer = AutoTokenizer.from_pretrained(folder)
        peft_config = LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, task_type="CAUSAL_LM")
    times: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            torch.cuda.synchronize()
            self.started = time.perf_counter()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            torch.cuda.synchronize()
            times.append(time.perf_counter() - self.started)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            if "loss" in logs:
                losses.append(float(logs["loss"]))

    for batch in batches:
        warm, timed = STEPS[batch]
        times.clear()
        losses.clear()
        rows = [row(number) for number in range(batch * (warm + timed))]
        trainer = SFTTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=Dataset.from_list([{"input_ids": ids, "labels": ids} for ids in rows]),
            peft_config=peft_config,
            callbacks=[Clock()],
            args=SFTConfig(
                output_dir="/tmp/train_gpu", per_device_train_batch_size=1, gradient_accumulation_steps=batch,
                max_steps=warm + timed, learning_rate=1e-4, lr_scheduler_type="constant", optim="adamw_8bit", bf16=True,
                logging_steps=1, report_to="none", save_strategy="no", max_length=TOKENS, packing=False,
                shuffle_dataset=False, disable_tqdm=True,
            ),
        )  # fmt: skip
        model, peft_config = trainer.model, None
        torch.cuda.reset_peak_memory_stats()
        trainer.train()
        seconds = statistics.median(times[warm:])
        yield {"batch": batch, "seconds": seconds, "losses": list(losses), "peak": torch.cuda.max_memory_allocated()}


def make_model(folder: Path) -> None:
    """The random model on disk, for the variants that can only load one; with any tokenizer that has enough tokens."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import MistralForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = MistralForCausalLM(config())
    model.save_pretrained(folder, max_shard_size="5GB")
    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"w{number}": number for number in range(3, MISTRAL_7B["vocab_size"])}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")),
        unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>",
    )  # fmt: skip
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)


def run_variant(variant: str, rank: int, batches: list[int], folder: Path) -> Iterator[dict[str, Any]]:
    """Measurements of one variant in this process."""
    if variant.startswith("ours"):
        results = measure_ours(variant, rank, batches)
    else:
        results = measure_trainer(variant, rank, batches, folder)
    for result in results:
        rate = TOKENS * result["batch"] / result["seconds"]
        yield {
            "variant": variant, "rank": rank, "batch": result["batch"], "tokens_per_second": round(rate, 1),
            "peak_gib": round(result["peak"] / 2**30, 1), "losses": [round(loss, 4) for loss in result["losses"]],
            "mfu": round(rate * flops_per_token(rank, TOKENS) / PEAK_BF16_FLOPS, 3),
            "step_seconds": round(result["seconds"], 4),
        }  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """Markdown, each variant beside Unsloth's default of the same rank and batch."""
    lines = [
        "| variant | rank | batch | tokens/s | × unsloth | peak GiB | MFU | last loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = {(one["rank"], one["batch"]): one["tokens_per_second"] for one in results if one["variant"] == "unsloth"}
    for one in results:
        against = base.get((one["rank"], one["batch"]))
        ratio = f"{one['tokens_per_second'] / against:.2f}" if against else ""
        lines.append(
            f"| {one['variant']} | {one['rank']} | {one['batch']} | {one['tokens_per_second']:,.0f} | {ratio} "
            f"| {one['peak_gib']} | {one['mfu']:.2f} | {one['losses'][-1] if one['losses'] else ''} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs the variants, each in its own process, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("--ranks", nargs="*", type=int, default=[768, 64])
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8])
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm/rawtune-bench"))
    parser.add_argument("--child", nargs=3, metavar=("VARIANT", "RANK", "BATCHES"))
    parser.add_argument("--out", type=Path, default=Path("train_gpu.jsonl"))
    arguments = parser.parse_args()
    if arguments.child:
        variant, rank, batches = arguments.child
        if variant == "make":
            make_model(arguments.folder)
        else:
            for result in run_variant(variant, int(rank), json.loads(batches), arguments.folder):
                print("RESULT " + json.dumps(result), flush=True)
        return
    results = []
    jobs = [(name, rank) for rank in arguments.ranks for name in arguments.only]
    if any(not name.startswith("ours") for name in arguments.only) and not arguments.folder.exists():
        jobs.insert(0, ("make", 0))
    for name, rank in jobs:
        command = [sys.executable, __file__, "--folder", str(arguments.folder)]
        command += ["--child", name, str(rank), json.dumps(arguments.batches)]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        print(f"{name} {rank}: exit {done.returncode} after {time.monotonic() - started:.0f} s", flush=True)
        if done.returncode:
            print(done.stderr[-1500:], flush=True)
        for line in done.stdout.splitlines():
            if line.startswith("RESULT "):
                print(line, flush=True)
                results.append(json.loads(line.removeprefix("RESULT ")))
                with arguments.out.open("a") as writer:
                    writer.write(line.removeprefix("RESULT ") + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
