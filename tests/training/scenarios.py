"""Runs in one child process, since importing torch, transformers and trl costs seconds: everything that tests want
to know of training itself.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import safe_open

from tasks.base.errors import RawtuneError
from tasks.model.child_main import Report
from tasks.model.holding import stay
from tasks.training import job
from tasks.training.journal import read_lines
from tasks.training.params import TrainingParams, TrainingRequest

RECIPE = {
    "rank": 4, "alpha": 8, "learning_rate": 1e-3, "epochs": 2, "batch_size": 2, "precision": "float32",
    "warmup_fraction": 0,
}  # fmt: skip


SHAPE = {
    "vocab_size": 1024, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LLAMA_3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
GEMMA = {"head_dim": 32, "query_pre_attn_scalar": 24, "sliding_window": 16, "sliding_window_pattern": 2}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "qwen2": SHAPE | {"tie_word_embeddings": True},
    "qwen3": SHAPE | {"head_dim": 32, "tie_word_embeddings": True},
    "qwen3 untied": SHAPE | {"head_dim": 32, "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 2},
    "smollm3": SHAPE | {"no_rope_layers": [1, 0, 1], "tie_word_embeddings": True},
    "gemma3_text": SHAPE | GEMMA,
    "gemma3_text untied": SHAPE | GEMMA | {"tie_word_embeddings": False},
    "mistral": SHAPE | {"head_dim": 32, "sliding_window": 24},  # Mistral-Nemo's heads are wider than hidden / heads
    "llama": SHAPE
    | {
        "attention_bias": True,
        "mlp_bias": True,
        "rope_parameters": LLAMA_3 | {"original_max_position_embeddings": 64},
        "tie_word_embeddings": True,
    },
}
"""Of what `fast` computes: model type, and a word where there are two of it."""

OPTIONAL = ("held_out", "looks", "general", "general_looks")
"""Fields of a request that are passed on where there are any."""

LOGITS = 40 * 49152 * 4
"""Bytes of the longest row's logits, which recompute does not make smaller."""


class Killed(Exception):
    pass


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    from tests.training import recipe_scenarios

    folder = Path(request["folder"])
    made: dict[str, Any] = {"parity": parity(Path(request["model"]))}
    made["architectures"] = {
        name: [parity(random_model(name, folder / name), wide=wide) for wide in (False, True)] for name in ARCHITECTURES
    }
    made["kept"] = {name: kept(folder / name) for name in ARCHITECTURES}
    made["mlp_parity"] = parity(Path(request["model"]), "mlp")
    for backend in ("trl", "fast"):
        made[backend] = training(request, folder / backend, backend)
    made["precision"] = precision_looks(request, folder / "qwen3")
    made["scarce"] = scarce(request, folder / "scarce")
    made["widened"] = widened()
    made["arguments"] = arguments(folder)
    made["recipe"] = recipe_scenarios.run(request | request["recipe"], report)
    stay()  # from here on a base is held
    for backend in ("trl", "fast"):
        made[backend]["held"] = [
            attempt(request, folder / f"held-{backend}-{number}", backend, **changes)
            for number, changes in enumerate(({"rank": 8, "learning_rate": 1e-2}, {}))
        ]
    return made


def widened() -> dict[str, float]:
    """Losses of hidden states as a 16-bit model makes them, and as accelerate hands them on: the same in 32 bits."""
    import torch

    from tasks.training.losses import target_losses

    torch.manual_seed(0)
    hidden, weight = torch.randn(7, 16).bfloat16(), torch.randn(32, 16).bfloat16()
    wide, targets = hidden.float().requires_grad_(), torch.arange(7)
    difference = target_losses(wide, weight, targets) - target_losses(hidden, weight, targets)
    difference.sum().backward()
    return {"difference": float(difference.abs().max()), "gradient": float(wide.grad.abs().max())}


def arguments(folder: Path) -> dict[str, int]:
    """Of a single process, after transformers has counted two GPUs on its machine."""
    from tasks.training.backends.sft import training_arguments

    made = training_arguments(TrainingParams(batch_size=8), folder / "arguments", recompute=False)
    made._n_gpu = 2
    return {"gpus": made.n_gpu, "rows": made.train_batch_size, "parts": made.gradient_accumulation_steps}


def soft_parity(
    decoder: Any, adapters: Any, peft: Any, pairs: list[Any], ids: Any, positions: Any, labels: Any
) -> tuple[float, float]:
    """The same where every third target is soft: against whole distributions and autograd through transformers."""
    import torch

    from tasks.training.backends.fast.decoder import SoftTargets

    generator = torch.Generator().manual_seed(2)
    places = (labels[1:] != -100).nonzero()[:, 0]
    which = torch.arange(len(places)) % 3 == 0
    base = (
        (3 * torch.randn(len(places), decoder.config.vocab_size, generator=generator))
        .to(decoder.embedding)
        .log_softmax(-1)
    )
    top = base.topk(20, -1)
    soft = SoftTargets((~which).nonzero()[:, 0], which.nonzero()[:, 0], top.indices[which], top.values[which])
    adapters.gradient.zero_()
    losses = decoder.forward_backward(ids, positions, labels, 1 / len(places), 0, soft)
    peft.zero_grad()
    logits = peft(input_ids=ids[None], position_ids=positions[None], use_cache=False).logits[0, places]
    q, p = logits.softmax(-1), base.exp()
    q_top, p_top = q.gather(1, top.indices), p.gather(1, top.indices)
    rest_q, rest_p = 1 - q_top.sum(1), 1 - p_top.sum(1)
    divergence = (p_top * (p_top / q_top).log()).sum(1) + rest_p * (rest_p / rest_q).log()
    entropy = torch.nn.functional.cross_entropy(logits, labels[1:][places], reduction="none")
    expected = torch.where(which, divergence, entropy)
    expected.mean().backward()
    worst = max(float((one.grad - ours).norm() / one.grad.norm()) for one, ours in pairs)
    return float((losses - expected).abs().max()), worst


def run_unsloth(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """In Unsloth's environment; it is imported by the job, before anything else."""
    folder = Path(request["folder"])
    return training(request, folder, "unsloth") | {"nf4": attempt(request, folder / "nf4", "unsloth", precision="nf4")}


def attempt(
    request: dict[str, Any], folder: Path, backend: str, stop_at: int | None = None, **changes: Any
) -> dict[str, Any]:
    """One run of the job; a second one in the same folder goes on from its checkpoints."""
    out, notes = folder / "out", []
    out.mkdir(parents=True, exist_ok=True)

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "note":
            notes.append(event["text"])
        if event["kind"] == "step" and event["done"] == stop_at:
            raise Killed

    params = TrainingParams.model_validate(RECIPE | {"backend": backend} | changes)
    try:
        answer = job.run(TrainingRequest.model_validate({
                "table": request["table"], "model": request["model"], "params": params.model_dump(mode="json"),
                "base_name": "stub", "checkpoints": str(folder / "checkpoints"), "out": str(out),
            }
            | {name: request[name] for name in OPTIONAL if name in request}), listen,
        )  # fmt: skip
    except RawtuneError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    except Killed:
        return {}
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}
    return {"answer": answer, "files": files, "lines": read_lines(out / "loss.jsonl"), "notes": notes}


def scarce(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same run with all the memory that it wants, a byte less, and less than it needs with any recompute."""
    from tests.training.memory import Memory

    with Memory() as ample:
        whole = attempt(request, folder / "ample", "fast")
    with Memory(ample.peak - 1) as tight:
        made = attempt(request, folder / "tight", "fast")
    with Memory(ample.peak - LOGITS // 2):
        try:
            hopeless: Any = attempt(request, folder / "hopeless", "fast")
        except RuntimeError as error:
            hopeless = type(error).__name__
    return {"ample": whole, "tight": made, "peaks": [ample.peak, tight.peak], "hopeless": hopeless}


def training(request: dict[str, Any], folder: Path, backend: str) -> dict[str, Any]:
    """One run through, one interrupted after step 4 and taken up again, one that cannot end well."""

    def attempted(name: str, stop_at: int | None = None, **changes: Any) -> dict[str, Any]:
        return attempt(request, folder / name, backend, stop_at, **changes)

    attempted("interrupted", stop_at=4)
    kept = sorted(path.name for path in (folder / "interrupted" / "checkpoints").iterdir())
    return {
        "through": attempted("through"),
        "kept": kept,
        "resumed": attempted("interrupted"),
        "wild": attempted("wild", alpha=1e38, learning_rate=1.0),
        "other_seed": attempted("other", seed=7),
        "looking": looking(request, folder, backend) if "recipe" in request else None,
    }


def looking(request: dict[str, Any], folder: Path, backend: str) -> dict[str, Any]:
    """Runs that look at general text on the way: one that holds its bound, others whose rate ruins a model that knew
    that text.
    """
    looks = request | {"general": request["recipe"]["general_text"], "general_looks": 5}
    holds = attempt(looks, folder / "holds", backend, max_general_loss=0.3)
    mlp = attempt(looks, folder / "mlp", backend, layers="mlp", max_general_loss=None)
    with safe_open(str(folder / "mlp" / "out" / "adapter_model.safetensors"), framework="pt") as tensors:
        mlp["tensors"] = sorted({".".join(name.split(".")[5:7]) for name in tensors.keys()})  # noqa: SIM118
    looks["model"] = str(knowing(request, folder.parent / "knowing"))
    ruinous = {"learning_rate": 0.03, "schedule": "constant"}
    free = attempt(looks, folder / "free", backend, max_general_loss=None, **ruinous)
    ruinous["max_general_loss"] = bound_between([line["general"]["above_base"] for line in free["lines"]])
    attempt(looks, folder / "broken-off", backend, stop_at=4, **ruinous)
    exceeds = attempt(looks, folder / "exceeds", backend, **ruinous)
    return {
        "holds": holds,
        "mlp": mlp,
        "bound": ruinous["max_general_loss"],
        "exceeds": exceeds | {"rise": rise(looks, folder / "exceeds" / "out")},
        "resumed": attempt(looks, folder / "broken-off", backend, **ruinous),
        "stopped": attempt(looks, folder / "stopped", backend, **ruinous | {"max_general_loss": 1e-5}),
    }


def bound_between(rises: list[float]) -> float:
    """Halfway over the widest gap that some looks stay below and all later ones lie above."""
    gaps = [(min(rises[kept:]) - rises[kept - 1], kept) for kept in range(1, len(rises))]
    gap, kept = max(gaps)
    return rises[kept - 1] + gap / 2


def knowing(request: dict[str, Any], folder: Path) -> Path:
    """The tiny model once it has learnt the general text by heart, so that there is something to forget."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if folder.exists():
        return folder
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32)
    rows = map(json.loads, Path(request["recipe"]["general_text"]).read_text("utf-8").splitlines())
    ids = [torch.tensor([row["input_ids"]]) for row in rows if row["stream"].startswith("general_loss")]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(10):
        for row in ids:
            model(input_ids=row, labels=row, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(request["model"]).save_pretrained(folder)
    return folder


def rise(request: dict[str, Any], adapter: Path) -> float:
    """How far an adapter's loss on the general text is above its base's, by transformers and PEFT alone."""
    from tasks.model.loading import load
    from tasks.model.scoring import losses

    lines = Path(request["recipe"]["general_text"]).read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["stream"].startswith("general_loss")]
    nats = [
        sum(found["nats"] for found in losses(load(request["model"], chosen, "float32"), rows, 0))
        for chosen in (adapter, None)
    ]
    return (nats[0] - nats[1]) / sum(label != -100 for row in rows for label in row["labels"][1:])


def random_model(name: str, folder: Path, **changes: Any) -> Path:
    """A tiny model of an architecture with random weights, biases and norms too."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(3)
    config = AutoConfig.for_model(name.split()[0], **ARCHITECTURES[name] | changes)
    model = AutoModelForCausalLM.from_config(config)
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith(("bias", "norm.weight")):
            parameter.data += 0.5 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    return folder


def kept(model_folder: Path) -> tuple[int, int]:
    """Bytes that a layer keeps of a token in 16 bits, beside what attention keeps on a CPU: there are, and planned."""
    import torch
    from transformers import AutoConfig

    from tasks.training.backends.fast.adapters import Adapters
    from tasks.training.backends.fast.decoder import Decoder
    from tasks.training.backends.fast.weights import shapes, weight_reader
    from tasks.training.plan.planner import kept_bytes
    from tasks.training.plan.shape import Shape

    config, cpu, tokens = AutoConfig.from_pretrained(model_folder), torch.device("cpu"), 64
    params = TrainingParams.model_validate({"rank": 4, "alpha": 8})
    adapters = Adapters(shapes(config), config.num_hidden_layers, params, torch.bfloat16, cpu)
    decoder = Decoder(config, weight_reader(model_folder, torch.bfloat16, cpu), adapters, params.scale)
    h, angles, documents = decoder._begin(torch.arange(tokens), torch.arange(tokens), 0)
    h, _, rest = decoder._layer(decoder.layers[0], h, None, angles, documents)
    found: dict[int, int] = {}

    def count(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, tuple):
            for one in value:
                count(one)

    count((h, *(value for name, value in rest.items() if name != "state")))
    norms = {weight.untyped_storage().data_ptr() for weight in decoder.layers[0].norms.values()}
    bytes_kept = sum(size for place, size in found.items() if place not in norms)
    shape = Shape.of(config)
    return bytes_kept // tokens, kept_bytes(shape, 4, False) - 4 * shape.heads  # attention's sums of exponentials


def precision_looks(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Which layers bear 8 bits, of a model as it comes and with channels planted that dwarf the others of their row."""
    import torch
    from transformers import AutoConfig

    from tasks.training.backends.fast import precision
    from tasks.training.backends.fast.adapters import Adapters
    from tasks.training.backends.fast.decoder import Decoder
    from tasks.training.backends.fast.weights import shapes, weight_reader

    config, cpu = AutoConfig.from_pretrained(folder), torch.device("cpu")
    params = TrainingParams.model_validate({"rank": 4, "alpha": 8})
    ids = torch.randint(20, config.vocab_size, (64,), generator=torch.Generator().manual_seed(1))
    labels = torch.where(torch.arange(64) == 0, -100, ids)
    read = weight_reader(folder, torch.bfloat16, cpu)

    def look(reader: Any) -> dict[str, Any]:
        adapters = Adapters(shapes(config), config.num_hidden_layers, params, torch.bfloat16, cpu)
        decoder = Decoder(config, reader, adapters, params.scale)
        found = precision.look(
            decoder, lambda one: float(one.forward_backward(ids, torch.arange(64), labels, 1 / 63).mean())
        )
        return found | {"told": precision.told(found), "left": float(adapters.gradient.abs().max())}

    return {name: look(planted(read, layers)) for name, layers in {"plain": (), "one": (1,), "all": (0, 1, 2)}.items()}


def planted(read: Callable[[str], Any], layers: tuple[int, ...]) -> Callable[[str], Any]:
    """A norm of some layers hands some channels on 2^18 times as large, the MLP reads them as much more weakly: in 16
    bits nothing changes. A float8 has 15 binary orders, so that a thousandfold would not do.
    """

    def changed(name: str) -> Any:
        weight = read(name)
        if name.startswith(tuple(f"model.layers.{layer}." for layer in layers)):
            if name.endswith("post_attention_layernorm.weight"):
                weight[:4] *= 2**18
            elif "gate_proj" in name or "up_proj" in name:
                weight[:, :4] /= 2**18
        return weight

    return changed


def parity(model_folder: Path, layers: str = "all", wide: bool = False) -> dict[str, float]:
    """Our decoder against transformers and PEFT on the same packed row, in 32 bits or 64; packed against each document
    alone.
    """
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from tasks.training.adapter import lora_config
    from tasks.training.backends.fast.adapters import SITES, Adapters
    from tasks.training.backends.fast.decoder import Decoder
    from tasks.training.backends.fast.weights import shapes, weight_reader

    config = AutoConfig.from_pretrained(model_folder)
    params = TrainingParams.model_validate({"rank": 4, "alpha": 8, "layers": layers})
    cpu, dtype = torch.device("cpu"), torch.float64 if wide else torch.float32
    adapters = Adapters(shapes(config), config.num_hidden_layers, params, dtype, cpu)
    generator = torch.Generator().manual_seed(1)
    for sites in adapters.sites:
        for site in sites.values():
            for b in site.b:
                b.normal_(0, 0.05, generator=generator)
    decoder = Decoder(config, weight_reader(model_folder, dtype, cpu), adapters, params.scale)
    ids = torch.randint(20, config.vocab_size, (70,), generator=generator)
    positions = torch.cat([torch.arange(40), torch.arange(30)])
    labels = torch.where(positions == 0, -100, ids)
    labels[45:50] = -100
    targets = int((labels != -100).sum())
    losses = decoder.forward_backward(ids, positions, labels, 1 / targets)
    gradient = adapters.gradient.clone()
    alone = torch.cat(
        [decoder.forward_backward(ids[part], positions[part], labels[part], 1.0) for part in (slice(40), slice(40, 70))]
    )
    adapters.gradient.zero_()
    decoder.recompute = 1
    decoder.forward_backward(ids, positions, labels, 1 / targets)
    recomputed = float((adapters.gradient - gradient).abs().max())

    peft = get_peft_model(AutoModelForCausalLM.from_pretrained(model_folder, dtype=dtype), lora_config(params))
    peft.to(dtype)  # PEFT keeps its own matrices in 32 bits
    named = dict(peft.named_parameters())
    worst = 0.0
    pairs = []
    for number, sites in enumerate(adapters.sites):
        for site, names in SITES.items():
            for place, name in enumerate(names):
                if not adapters.ranks[name]:
                    continue
                rows = slice(place * 4, place * 4 + 4)
                prefix = f"base_model.model.model.layers.{number}.{name}"
                a, b = named[f"{prefix}.lora_A.default.weight"], named[f"{prefix}.lora_B.default.weight"]
                a.data.copy_(sites[site].a[rows])
                b.data.copy_(sites[site].b[place].T)
                pairs.append((a, sites[site].grad_a[rows]))
                pairs.append((b, sites[site].grad_b[place].T))
    logits = peft(input_ids=ids[None], position_ids=positions[None], use_cache=False).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(logits, labels[1:], reduction="none")[labels[1:] != -100]
    expected.mean().backward()
    for parameter, ours in pairs:
        worst = max(worst, float((parameter.grad - ours).norm() / parameter.grad.norm()))
    soft = soft_parity(decoder, adapters, peft, pairs, ids, positions, labels)
    return {
        "soft_loss": soft[0],
        "soft_gradient": soft[1],
        "loss": float((losses - expected).abs().max()),
        "gradient": worst,
        "recomputed": recomputed,
        "packed": float((losses - alone).abs().max()),
    }
