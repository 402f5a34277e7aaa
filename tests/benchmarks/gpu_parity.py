"""The loop of `fast` on a GPU against transformers and PEFT, for every shape that it computes: losses and gradients of
the adapter in 16 bits and in FP8, and what the look before FP8 finds in a model with planted outlier channels.

    python tests/benchmarks/gpu_parity.py --seconds 100 --out parity.jsonl        (--smoke: tiny, on a CPU)

Each model is small and random, with heads, groups and windows of the real one. The truth is transformers' model in 32
bits. The yardstick of our 16 bits is transformers' own distance from it on the same rows, that of our FP8 is our own
in 16 bits: either may be `ALLOWED` times as far. What a rounding comes to depends on the random weights, its ratio
hardly does. One process a shape, all at once, since most of the time goes into compiling kernels; each line
is in `--out` as soon as it is there. The exit code is 1 where a shape is too far off or did not finish.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

ALLOWED: Final = {
    "bfloat16": {"losses": 1.5, "gradient": 1.5, "worst_gradient": 2.0},
    "fp8": dict.fromkeys(("losses", "gradient", "worst_gradient"), 1.5 * 2 ** (7 - 3)),
}
"""Times the yardstick, by precision. A single matrix is noisier than all. FP8 rounds coarser by what bfloat16's
mantissa has more bits, 16 times; an H200 showed 9 to 12 (2026-11-30, 11 shapes), tiny models on a CPU 7 to 16.
"""
FP8_LOSS: Final = 0.01
"""Share of the mean loss; what `precision.RUN` allows."""
WIDE = {
    "vocab_size": 4096, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 4096, "initializer_range": 0.02,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LLAMA_3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}  # fmt: skip
GEMMA = {
    "hidden_size": 1152, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
    "query_pre_attn_scalar": 256, "sliding_window": 128, "sliding_window_pattern": 2,
}  # fmt: skip
SHAPES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Gemma 3 1B": ("gemma3_text", WIDE | GEMMA),
    "Qwen 3 8B": ("qwen3", WIDE | {"head_dim": 128, "tie_word_embeddings": False}),
    "Qwen 3 0.6B": ("qwen3", WIDE | {"head_dim": 128, "num_attention_heads": 16, "tie_word_embeddings": True}),
    "Qwen 3, windows": (
        "qwen3", WIDE | {"head_dim": 128, "use_sliding_window": True, "sliding_window": 128, "max_window_layers": 1},
    ),
    "Qwen 2.5 7B": ("qwen2", WIDE | {"tie_word_embeddings": False}),
    "Qwen 2.5 0.5B": ("qwen2", WIDE | {"num_attention_heads": 16, "tie_word_embeddings": True}),
    "SmolLM3 3B": ("smollm3", WIDE | {"no_rope_layers": [1, 0, 1], "tie_word_embeddings": True}),
    "Llama 3.1 8B": ("llama", WIDE | {"rope_parameters": LLAMA_3, "tie_word_embeddings": False}),
    "Llama 3.2 1B": (
        "llama", WIDE | {"rope_parameters": LLAMA_3, "num_attention_heads": 16, "tie_word_embeddings": True},
    ),
    "Mistral Nemo": ("mistral", WIDE | {"hidden_size": 1280, "head_dim": 128, "sliding_window": None}),
    "Mistral 7B v0.1, windows": ("mistral", WIDE | {"sliding_window": 128}),
    "SmolLM2 135M": (
        "llama", WIDE | {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9,
                         "num_key_value_heads": 3, "tie_word_embeddings": True},
    ),
}  # fmt: skip
"""By the model that it stands for, those first that had never seen a GPU: model type and configuration."""
SMALLER = {
    "vocab_size": 256, "hidden_size": 64, "intermediate_size": 96, "head_dim": 16, "sliding_window": 16,
    "initializer_range": 0.08,  # as loud as the wide ones
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
DOCUMENTS = {"packed": [389, 260, 119], "one": [512]}
"""Tokens of the documents of a row; longer than the windows, and no multiple of anything."""
LOOK: Final = "look before FP8"


def compared(name: str, tiny: bool) -> Iterator[dict[str, Any]]:
    """A fact for each kind of row, rank and precision of one shape."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from tasks.training.adapter import lora_config
    from tasks.training.backends.fast.adapters import SITES, Adapters
    from tasks.training.backends.fast.decoder import Decoder
    from tasks.training.backends.fast.weights import shapes, weight_reader
    from tasks.training.params import TrainingParams

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = Path(tempfile.mkdtemp())
    config = _random_model(name, tiny, folder)
    for rank in (16,) if tiny else (16, 144):  # thin adapters take another way than wide ones
        params = TrainingParams(rank=rank, alpha=rank)
        made: dict[tuple[str, Any], Any] = {}
        narrow: dict[tuple[str, int], dict[str, float]] = {}
        adapters = Adapters(shapes(config), config.num_hidden_layers, params, torch.bfloat16, device)
        generator = torch.Generator(device).manual_seed(1)
        for sites in adapters.sites:
            for site in sites.values():
                for b in site.b:
                    b.normal_(0, 0.02, generator=generator)
        for dtype in (torch.float32, torch.bfloat16):
            base = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
            peft = get_peft_model(base.to(device), lora_config(params)).to(dtype)
            named = dict(peft.named_parameters())
            for number, sites in enumerate(adapters.sites):
                for site, names in SITES.items():
                    for place, linear in enumerate(names):
                        prefix = f"base_model.model.model.layers.{number}.{linear}"
                        a = sites[site].a[place * rank : (place + 1) * rank]
                        named[f"{prefix}.lora_A.default.weight"].data.copy_(a)
                        named[f"{prefix}.lora_B.default.weight"].data.copy_(sites[site].b[place].T)
            for kind in DOCUMENTS:
                ids, positions, labels = _row(kind, config.vocab_size, tiny)
                peft.zero_grad()
                logits = peft(
                    input_ids=ids[None].to(device), position_ids=positions[None].to(device), use_cache=False
                ).logits[0, :-1]
                targets = labels[1:].to(device)
                losses = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")[targets != -100]
                losses.mean().backward()
                gradients = []
                for number in range(config.num_hidden_layers):
                    for names in SITES.values():
                        prefix = f"base_model.model.model.layers.{number}"
                        gradients += [named[f"{prefix}.{linear}.lora_A.default.weight"].grad for linear in names]
                        gradients += [named[f"{prefix}.{linear}.lora_B.default.weight"].grad.T for linear in names]
                made[kind, dtype] = losses.detach().double(), [one.double() for one in gradients]
            del base, peft, named
        for precision in ("bfloat16", "fp8"):
            decoder = Decoder(config, weight_reader(folder, torch.bfloat16, device), adapters, params.scale)
            if precision == "fp8":
                decoder.quantise(range(len(decoder.layers)))
            for kind in DOCUMENTS:
                ids, positions, labels = _row(kind, config.vocab_size, tiny)
                truth = made[kind, torch.float32]
                for recompute in (0, len(decoder.layers)):
                    decoder.recompute = recompute
                    adapters.gradient.zero_()
                    losses = decoder.forward_backward(ids, positions, labels, 1 / int((labels != -100).sum()))
                    found = _distance((losses.double(), _gradients(adapters)), truth)
                    if precision == "bfloat16":
                        narrow[kind, recompute] = found
                        yardstick = _distance(made[kind, torch.bfloat16], truth)
                    else:
                        yardstick = narrow[kind, recompute]
                    yield {
                        "shape": name, "row": kind, "rank": rank, "precision": precision, "recomputed": recompute,
                        "right": _is_right(precision, found, yardstick), "ours": found, "yardstick": yardstick,
                    }  # fmt: skip
            del decoder


def looked(tiny: bool) -> Iterator[dict[str, Any]]:
    """Which layers the look keeps in 16 bits: of a plain model, with channels planted in one layer, and in all. Where
    they are planted, those stay in 16 bits and no others than before.
    """
    import torch

    from tasks.training.backends.fast import precision
    from tasks.training.backends.fast.adapters import Adapters
    from tasks.training.backends.fast.decoder import Decoder
    from tasks.training.backends.fast.weights import shapes, weight_reader
    from tasks.training.params import TrainingParams
    from tests.training.scenarios import planted

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = Path(tempfile.mkdtemp())
    config = _random_model("Qwen 3 8B", tiny, folder)
    params = TrainingParams(rank=16, alpha=16)
    ids, positions, labels = _row("packed", config.vocab_size, tiny)
    read = weight_reader(folder, torch.bfloat16, device)
    plain: set[int] = set()
    for layers in ((), (1,), (0, 1, 2)):
        adapters = Adapters(shapes(config), config.num_hidden_layers, params, torch.bfloat16, device)
        decoder = Decoder(config, planted(read, layers), adapters, params.scale)
        started = time.monotonic()
        found = precision.look(
            decoder, lambda one: float(one.forward_backward(ids, positions, labels, 1 / len(ids)).mean())
        )
        staying = set(found["layers_in_16_bits"])
        plain = plain if layers else staying
        right = staying == plain | set(layers) and len(plain) < len(decoder.layers)
        yield {
            "shape": LOOK, "planted_in": layers, "right": right,
            "seconds": round(time.monotonic() - started, 2), "told": precision.told(found), "found": found,
        }  # fmt: skip


def _is_right(precision: str, found: dict[str, float], yardstick: dict[str, float]) -> bool:
    near = all(found[what] <= times * yardstick[what] for what, times in ALLOWED[precision].items())
    return near and (precision == "bfloat16" or abs(found["mean_loss"]) <= FP8_LOSS)


def _random_model(name: str, tiny: bool, folder: Path) -> Any:
    """Its configuration; norms and biases are random too."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model_type, wanted = SHAPES[name]
    if tiny:
        wanted = wanted | {key: value for key, value in SMALLER.items() if wanted.get(key) or key in WIDE}
    config = AutoConfig.for_model(model_type, **wanted)
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith(("bias", "norm.weight")):
            parameter.data += 0.3 * torch.randn(parameter.shape)
    model.bfloat16().save_pretrained(folder)  # so that every precision computes with the same weights
    return AutoConfig.from_pretrained(folder)


def _row(kind: str, vocabulary: int, tiny: bool) -> tuple[Any, Any, Any]:
    import torch

    lengths = [length // 4 if tiny else length for length in DOCUMENTS[kind]]
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(20, vocabulary, (sum(lengths),), generator=generator)
    positions = torch.cat([torch.arange(length) for length in lengths])
    labels = torch.where(positions == 0, -100, ids)
    labels[len(labels) // 3 : len(labels) // 3 + 5] = -100
    return ids, positions, labels


def _gradients(adapters: Any) -> list[Any]:
    found = []
    for sites in adapters.sites:
        for site in sites.values():
            found += list(site.grad_a.double().chunk(len(site.b))) + [one.double() for one in site.grad_b]
    return found


def _distance(made: tuple[Any, list[Any]], truth: tuple[Any, list[Any]]) -> dict[str, float]:
    """Of the losses, relative: all (root of squares) and the mean; of the gradient: all, the worst matrix, cosine."""
    import torch

    flat, wanted = (torch.cat([one.flatten() for one in part[1]]) for part in (made, truth))
    return {
        "losses": float((made[0] - truth[0]).norm() / truth[0].norm()),
        "mean_loss": float(made[0].mean() / truth[0].mean() - 1),
        "gradient": float((flat - wanted).norm() / wanted.norm()),
        "worst_gradient": max(
            float((one - other).norm() / other.norm()) for one, other in zip(made[1], truth[1], strict=True)
        ),
        "direction": float(torch.nn.functional.cosine_similarity(flat, wanted, dim=0)),
    }


def _child(name: str, tiny: bool) -> None:
    for fact in looked(tiny) if name == LOOK else compared(name, tiny):
        print("FACT " + json.dumps(fact), flush=True)


def main() -> None:
    """Runs all shapes side by side and prints one line for each fact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu_parity.jsonl"))
    parser.add_argument("--seconds", type=float, default=600, help="what has not ended by then is killed and named")
    parser.add_argument("--at-once", type=int, default=13)
    parser.add_argument("--only", nargs="*", default=[LOOK, *SHAPES])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--child")
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child, arguments.smoke)
        return
    until = time.monotonic() + arguments.seconds
    waiting, running, wrong = list(arguments.only), {}, []
    facts: dict[str, list[dict[str, Any]]] = {}
    logs = Path(tempfile.mkdtemp())
    with arguments.out.open("w") as writer:
        while waiting or running:
            while waiting and len(running) < arguments.at_once:
                name = waiting.pop(0)
                log = logs / f"{len(waiting)}.txt"
                command = [sys.executable, __file__, "--child", name] + ["--smoke"] * arguments.smoke
                with log.open("w") as output:
                    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
                running[name] = (process, log, 0)
            for name, (process, log, read) in list(running.items()):
                late = time.monotonic() > until
                if late:
                    process.kill()
                ended = late or process.poll() is not None
                lines = log.read_text("utf-8", "replace").splitlines()
                whole = [line.removeprefix("FACT ") for line in lines if line.startswith("FACT ") and line[-1] == "}"]
                for line in whole[read:]:
                    fact = json.loads(line)
                    writer.write(line + "\n")
                    writer.flush()
                    facts.setdefault(name, []).append(fact)
                    if not fact["right"] or name == LOOK:
                        _show(fact)
                    if not fact["right"]:
                        wrong.append(name)
                running[name] = (process, log, len(whole))
                if ended:
                    del running[name]
                    if name in facts and name != LOOK:
                        print(_summary(name, facts[name]), flush=True)
                    if process.wait():
                        wrong.append(name)
                        print(f"{name}: " + ("no time left" if late else "failed"), *lines[-12:], sep="\n", flush=True)
                if late and waiting:
                    print("no time left for " + ", ".join(waiting), flush=True)
                    wrong += waiting
                    waiting.clear()
            time.sleep(0.1)
    print("all right" if not wrong else "not right: " + ", ".join(dict.fromkeys(wrong)), flush=True)
    sys.exit(1 if wrong else 0)


def _summary(name: str, facts: list[dict[str, Any]]) -> str:
    """The worst of a shape, times the yardstick; of FP8 also the mean loss and the gradient's direction."""
    line = f"{name}: {sum(fact['right'] for fact in facts)} of {len(facts)} right"
    for precision, allowed in ALLOWED.items():
        if some := [fact for fact in facts if fact["precision"] == precision]:
            worst = [max(one["ours"][what] / one["yardstick"][what] for one in some) for what in allowed]
            line += f"; {precision}: " + ", ".join(
                f"{what} x{times:.2f}" for what, times in zip(allowed, worst, strict=True)
            )
            if precision == "fp8":
                loss = max((one["ours"]["mean_loss"] for one in some), key=abs)
                line += f", mean loss {loss:+.2%}, direction {min(one['ours']['direction'] for one in some):.4f}"
    return line


def _show(fact: dict[str, Any]) -> None:
    mark = "ok " if fact["right"] else "NOT"
    if fact["shape"] == LOOK:
        print(f"{mark} {LOOK}, planted in {fact['planted_in']}, {fact['seconds']} s: {fact['told']}", flush=True)
        return
    ours, yardstick = fact["ours"], fact["yardstick"]
    print(
        f"{mark} {fact['shape']:24} {fact['row']:6} r{fact['rank']:<3} {fact['precision']:8} re{fact['recomputed']} "
        + " ".join(f"{what} {ours[what]:.2e}/{yardstick[what]:.2e}" for what in ALLOWED[fact["precision"]])
        + f" mean {ours['mean_loss']:+.2e} cos {ours['direction']:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
