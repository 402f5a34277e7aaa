"""A tiny adapter, an evaluation report and a gate's answer as artifacts, without any torch."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tasks.base.artifacts import Artifact
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.figures.page import DECISION_SLOT
from tasks.model.base_model import base_model
from tasks.model.params import BaseModelParams
from tasks.release import hub
from tasks.release.gate import gate
from tasks.release.params import CostFacts, GateParams, ReleaseFacts, ReleaseParams, SourceFacts
from tasks.release.publish import publish
from tests.emulators.hub_api import Account, HubEmulator

RANK = 4
SHAPES = {"q_proj": (64, 64), "v_proj": (64, 32)}
"""Inputs and outputs of the tiny model's adapted layers (see tests/conftest.py)."""

SUMMARY: dict[str, Any] = {
    "arms": {
        "base": {
            "recall": {"estimate": 0.03, "low": 0.0, "high": 0.07, "items": 40},
            "forgetting": {"estimate": 0.34, "low": 0.28, "high": 0.41, "items": 200},
        },
        "tuned": {
            "recall": {"estimate": 0.61, "low": 0.5, "high": 0.72, "items": 40},
            "forgetting": {"estimate": 0.33, "low": 0.27, "high": 0.4, "items": 200},
        },
    },
    "differences": {
        "recall": {"estimate": 0.58, "low": 0.45, "high": 0.7, "items": 40},
        "forgetting": {"estimate": -0.01, "low": -0.025, "high": 0.01, "items": 200},
    },
    "losses": {
        "base": {"answers_held_out": {"loss": 3.21, "tokens": 900}, "raw_held_out": {"loss": 2.5, "tokens": 4000}},
        "tuned": {"answers_held_out": {"loss": 2.1, "tokens": 900}, "raw_held_out": {"loss": 2.45, "tokens": 4000}},
    },
    "leaks": 0,
}
REPORT_HTML = f"<!doctype html><title>report</title>\n{DECISION_SLOT}\n"

FAKE_TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"

FACTS = ReleaseFacts(
    name="hello",
    base_model="stub",
    sources=(SourceFacts(repo="octocat/hello", revision="7" * 40, committed_at="2023-12-31T18:04:05Z"),),
    recipe={"rank": RANK, "alpha": 8, "learning_rate": 0.001, "epochs": 1},
    data={"documents": 12, "dialogues": 34, "redacted_secrets": 1},
    params={"name": "hello", "training": {"rank": RANK}},
    cost=CostFacts(api_usd=1.25, unpriced_requests=1200, gpu_usd=2.79, training_seconds=3600, answering_seconds=240),
)

Adapter = Callable[[int], Artifact]
Release = Callable[..., Artifact]


@step("tests/files", "1")
def files(run: StepRun, texts: dict[str, str], adapter_seed: int | None, tokens: int = 0) -> None:
    for name, text in texts.items():
        run.path(name).write_text(text, "utf-8")
    if adapter_seed is not None:
        write_adapter(run.folder, adapter_seed)
    if tokens:
        run.count("tokens", tokens)


def write_adapter(
    folder: Path, seed: int, shapes: dict[str, tuple[int, int]] = SHAPES, layers: int = 2, scale: float = 1.0
) -> None:
    """A PEFT adapter, as it stands for the tiny model; another seed makes another adapter."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        for module, (inputs, outputs) in shapes.items():
            prefix = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            for matrix, size in (("lora_A", (RANK, inputs)), ("lora_B", (outputs, RANK))):
                tensors[f"{prefix}.{matrix}.weight"] = generator.normal(0, scale, size).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "/somewhere/on/this/machine",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": sorted(SHAPES),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")


@pytest.fixture
def adapter(store: Store) -> Adapter:
    """Makes an adapter artifact of a seed."""
    return lambda seed: files.direct(store, texts={}, adapter_seed=seed)


@pytest.fixture
def report(store: Store) -> Artifact:
    """A good evaluation's report."""
    return report_of(store, SUMMARY)


def rows(scores: dict[str, float]) -> str:
    """scores.jsonl of the tuned arm's recall questions: question → score, two questions a document."""
    lines = [
        {"item_id": item, "arm": "tuned", "suite": "recall", "document_id": f"d{number // 2}", "score": score}
        for number, (item, score) in enumerate(scores.items())
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


RECALLED = {f"q{number:02d}": 1.0 if number % 3 else 0.0 for number in range(40)}


def report_of(store: Store, summary: dict[str, Any], scores: dict[str, float] = RECALLED) -> Artifact:
    """The report artifact of a summary."""
    texts = {"summary.json": json.dumps(summary), "report.html": REPORT_HTML, "scores.jsonl": rows(scores)}
    return files.direct(store, texts=texts, adapter_seed=None)


@pytest.fixture
def table(store: Store) -> Artifact:
    """A training table of 16,000 tokens, by its counts."""
    return files.direct(store, texts={"rows.jsonl": ""}, adapter_seed=None, tokens=16000)


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def small_tokenizer() -> dict[str, str]:
    """Files of a tokenizer of bytes and three control tokens: the stub's takes most of a second to load."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    control = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*control, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    named = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "unk_token": "<|endoftext|>"}
    return {
        "tokenizer.json": tokenizer.to_str(),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **named}),
        "chat_template.jinja": CHATML,
        "config.json": json.dumps({"model_type": "llama", "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 2}),
    }


@pytest.fixture
def base_files(store: Store, small_tokenizer: dict[str, str]) -> Artifact:
    """What a release reads of its base model, without weights."""
    return files.direct(store, texts=small_tokenizer, adapter_seed=None)


@pytest.fixture
def made(store: Store, adapter: Adapter, base_files: Artifact, report: Artifact, table: Artifact) -> Release:
    """Makes the release of an adapter's seed."""

    def make(seed: int, facts: ReleaseFacts = FACTS) -> Artifact:
        decision = gate.direct(store, report, GateParams())
        return publish.direct(store, adapter(seed), base_files, report, decision, table, ReleaseParams(), facts)

    return make


@pytest.fixture
def made_whole(store: Store, adapter: Adapter, tiny_model: Path, report: Artifact, table: Artifact) -> Release:
    """As `made`, with the tiny model's weights in the store as the base model."""

    def make(seed: int) -> Artifact:
        model = base_model.direct(store, BaseModelParams(base_model=str(tiny_model)))
        decision = gate.direct(store, report, GateParams())
        return publish.direct(store, adapter(seed), model, report, decision, table, ReleaseParams(), FACTS)

    return make


REPO = "octocat/hello-lora"
ACCOUNTS = {
    "write": Account("octocat"),
    "read": Account("octocat", role="read"),
    "stranger": Account("hubot", organizations=(("octocat", "read"),)),
    "fine": Account("octocat", role="fineGrained", scoped=(("model", REPO, ("repo.content.read", "repo.write")),)),
    "narrow": Account("octocat", role="fineGrained", scoped=(("model", REPO, ("repo.content.read",)),)),
}
"""Tokens of the emulated Hub and whose they are."""


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubEmulator]:
    """A Hub of this test's own, reached by HF_ENDPOINT with a token that may write."""
    with HubEmulator(dict(ACCOUNTS)) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", "write")
        monkeypatch.setattr(hub, "RETRY_SECONDS", (0.01, 0.01, 0.01))
        yield running


def make_release(folder: Path, seed: int) -> Path:
    """A release folder with a large file, a nested file and text."""
    (folder / "merged").mkdir(parents=True)
    write_adapter(folder, seed)
    (folder / "README.md").write_text(f"---\nlicense: apache-2.0\n---\n# Release {seed}\n")
    (folder / "merged" / "config.json").write_text(json.dumps({"seed": seed}))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path → bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def on_hub(emulator: HubEmulator, branch: str) -> dict[str, bytes]:
    """Path → bytes of a branch, without the Hub's own file."""
    files = emulator.hub.repositories["models", REPO].at(branch).files
    return {name: file.data for name, file in files.items() if name != ".gitattributes"}


def online(emulator: HubEmulator, home: Path) -> dict[str, str]:
    """Variables for a process that may talk to the emulator and to nothing else."""
    return {
        "HF_ENDPOINT": emulator.url,
        "HF_TOKEN": "write",
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
