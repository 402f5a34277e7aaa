"""The variants of `train_gpu.py`, each in a process of its own: libraries are imported while the variant before still
measures, the GPU is touched after a line on stdin.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu_checks import check
from tests.benchmarks.gpu_workload import (
    MOST_FLOPS,
    PEAK_BF16_FLOPS,
    TARGETS,
    Workload,
    batch_of,
    make_model,
    write_table,
)

Measured = dict[str, Any]


def run(variant: str, rank: int, works: list[str], shape: str, work: Workload, folder: Path) -> None:
    """Imports, waits, measures; a line `RESULT {…}` per work."""
    if variant.startswith("unsloth"):
        import unsloth  # noqa: F401  (first, before trl and transformers)
    import torch
    import transformers  # noqa: F401
    import trl  # noqa: F401

    print("READY", flush=True)
    sys.stdin.readline()
    started = time.monotonic()
    if variant == "make":
        make_model(work, folder)
        return
    if variant.endswith("check"):
        for found in check("unsloth" if variant.startswith("unsloth") else "own"):
            print("CHECK " + json.dumps(found), flush=True)
        return
    measure = _ours if variant.startswith("ours") else _trainer
    for made in measure(variant, rank, works, work, folder):
        rate = made.pop("tokens") / made["seconds"]
        flops = work.flops_per_token(rank, made.pop("attended"))
        if torch.cuda.is_available() and rate * flops > MOST_FLOPS:
            raise ValueError(f"{rate:,.0f} tokens/s are more than the card can do: the clock is wrong")
        result = {
            "shape": shape, "variant": variant, "rank": rank, "work": made["work"], "tokens_per_second": round(rate, 1),
            "step_seconds": round(made["seconds"], 4), "peak_gib": round(made["peak"] / 2**30, 2),
            "mfu": round(rate * flops / PEAK_BF16_FLOPS, 4), "losses": [round(loss, 4) for loss in made["losses"]],
            "resolved": made.get("resolved", {}), "process_seconds": round(time.monotonic() - started, 1),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        }  # fmt: skip
        print("RESULT " + json.dumps(result), flush=True)


def _ours(variant: str, rank: int, works: list[str], work: Workload, folder: Path) -> Iterator[Measured]:
    """The backend's own loop with what it would choose for this card; weights are random, made on the device."""
    import torch

    from tasks.training.backends import fast_backend
    from tasks.training.backends.fast.adapters import Adapters
    from tasks.training.backends.fast.decoder import Decoder
    from tasks.training.backends.fast.weights import shapes
    from tasks.training.journal import Journal
    from tasks.training.params import TrainingParams
    from tasks.training.table import Table

    device, config = torch.device("cuda" if torch.cuda.is_available() else "cpu"), work.made_config()
    recipe = {"rank": rank, "alpha": rank, "learning_rate": 1e-4, "schedule": "constant", "epochs": 1}
    recipe |= {"precision": "bfloat16"} if variant == "ours-bf16" else {}
    params = TrainingParams.model_validate(recipe)
    fp8 = fast_backend.uses_fp8(config, params)
    generator = torch.Generator(device).manual_seed(0)
    table_shape = (config.vocab_size, config.hidden_size)
    known = shapes(config) | {"embed_tokens": table_shape, "lm_head": table_shape}

    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads

    def read(weight: str) -> torch.Tensor:
        shape = next((shape for part, shape in known.items() if part in weight), None)
        if shape is None:
            width = head if weight.endswith(("q_norm.weight", "k_norm.weight")) else config.hidden_size
            return torch.ones(width, dtype=torch.bfloat16, device=device)
        return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(0, 0.02, generator=generator)

    adapters = Adapters(shapes(config), config.num_hidden_layers, params, torch.bfloat16, device)
    decoder = Decoder(config, read, adapters, params.scale)
    if fp8:
        decoder.quantise(range(len(decoder.layers)))
    for what in works:
        warm, timed = work.steps[what]
        batch = batch_of(what)
        place = Path(tempfile.mkdtemp())
        attended = write_table(work, what, batch * (warm + timed), place)
        chosen = params.model_copy(update={"batch_size": batch})
        table = Table(place)
        journal = Journal(table.sources, warm + timed, chosen, lambda event: None)
        loop = fast_backend.Loop(table, chosen, journal, adapters, decoder)
        predicted = fast_backend._least_recompute(config, chosen, loop.budget, fp8, decoder)
        _reset_peak()
        # the loop stops where something is due, here between warm-up and timed steps: the device is idle at both ends
        clock = []
        for _ in loop.steps(warm.__eq__):
            _wait()
            clock.append(time.perf_counter())
        yield {
            "work": what, "seconds": (clock[1] - clock[0]) / timed, "peak": _peak(), "attended": attended,
            "tokens": sum(line["tokens"] for line in journal.lines[warm:]) / timed,
            "losses": [line["loss"] for line in journal.lines],
            "resolved": {"fp8": fp8, "recompute": decoder.recompute, "micro_batch_tokens": loop.budget,
                         "predicted_gib": round((predicted or 0) / 2**30, 2)},
        }  # fmt: skip


def _trainer(variant: str, rank: int, works: list[str], work: Workload, folder: Path) -> Iterator[Measured]:
    """SFTTrainer, with Unsloth's model as its notebooks set it (or without recompute), or with PEFT's."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    on_gpu = torch.cuda.is_available()
    peft_config = None
    if variant.startswith("unsloth"):
        from unsloth import FastLanguageModel

        model, tokenizer = FastLanguageModel.from_pretrained(
            str(folder), max_seq_length=work.tokens, dtype=torch.bfloat16, load_in_4bit=False
        )
        model = FastLanguageModel.get_peft_model(
            model, r=rank, lora_alpha=rank, lora_dropout=0, bias="none", target_modules=TARGETS,
            use_gradient_checkpointing="unsloth" if variant == "unsloth" else False, random_state=0,
        )  # fmt: skip
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        model = model.to("cuda") if on_gpu else model
        tokenizer = AutoTokenizer.from_pretrained(folder)
        peft_config = LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS, task_type="CAUSAL_LM")
    for what in works:
        warm, timed = work.steps[what]
        batch, packed = batch_of(what), what.startswith("packed")
        count = batch * (warm + timed)
        rows = work.documents(count * 12) if packed else [work.row(number) for number in range(count)]
        clock = _clock()
        trainer = SFTTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=Dataset.from_list([{"input_ids": ids, "labels": ids} for ids in rows]),
            peft_config=peft_config,
            callbacks=[clock],
            args=SFTConfig(
                output_dir=tempfile.mkdtemp(), per_device_train_batch_size=1, gradient_accumulation_steps=batch,
                max_steps=warm + timed, learning_rate=1e-4, lr_scheduler_type="constant", bf16=on_gpu,
                optim="adamw_8bit" if on_gpu else "adamw_torch_fused", use_cpu=not on_gpu, logging_steps=1,
                report_to="none", save_strategy="no", max_length=work.tokens, packing=packed, shuffle_dataset=False,
                disable_tqdm=True,
                # as the notebooks leave it for Unsloth, whose model knows; TRL's own default for TRL
                **({"gradient_checkpointing": False} if variant == "unsloth-unchecked" else {}),
            ),
        )  # fmt: skip
        model, peft_config = trainer.model, None
        lengths = [len(ids) for ids in trainer.train_dataset["input_ids"]]
        documents = [len(ids) for ids in rows]
        _reset_peak()
        trainer.train()
        middle = statistics.mean if packed else statistics.median
        yield {
            "work": what, "seconds": middle(clock.times[warm:]),
            "peak": _peak(), "tokens": batch * sum(lengths) / len(lengths), "losses": list(clock.losses),
            "attended": sum(one**2 for one in documents) / sum(documents),
        }  # fmt: skip


def _clock() -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []
            self.losses: list[float] = []

        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            _wait()
            self.started = time.perf_counter()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            _wait()
            self.times.append(time.perf_counter() - self.started)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            if "loss" in logs:
                self.losses.append(float(logs["loss"]))

    return Clock()


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _reset_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0
