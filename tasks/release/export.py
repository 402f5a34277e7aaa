"""Exports beside the adapter: merged weights, GGUF files, and the proof that they say the same.

release/merge           config.json, *.safetensors, tokenizer, template: what vLLM and transformers load directly
release/gguf            <name>-Q8_0.gguf, <name>-Q4_K_M.gguf, …: what llama.cpp and Ollama load
release/verify-export   agreement.json: divergence and agreement of every export with the adapter as trained
"""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import ReleaseError
from tasks.base.records import Item, Message
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.model.child import run_child
from tasks.model.convert import is_served
from tasks.model.request import MergeRequest
from tasks.release.folder import TOKENIZER, TOKENIZER_OPTIONAL, generation_config, write_json
from tasks.release.params import ExportParams
from tasks.release.requests import CompareRequest, GgufRequest, Text
from tasks.text.chat import prompt_ids, stop_ids
from tasks.text.tokenizer import TextTokenizer

VERSION = "2026.11.30"

MERGED: Final = "merged"
MAX_NEW_TOKENS: Final = 32


def wants_merged(params: ExportParams, rank: int, embeddings: bool = False) -> bool:
    """Whether merged weights are made: asked for, needed for GGUF, or because vLLM cannot serve the adapter.

    It serves none of too high a rank or with trained `embeddings`.
    """
    return (
        params.merged == "always" or bool(params.gguf) or (params.merged == "auto" and not is_served(rank, embeddings))
    )


@step("release/merge", VERSION)
def merge(run: StepRun, adapter: Artifact, model: Artifact) -> None:
    """Writes the merged model."""
    base = run.checkout(model)
    answer = run_child(
        "tasks.model.convert:merge",
        MergeRequest(model=base, adapter=run.checkout(adapter), target=run.folder),
        lambda facts: run.progress(facts["done"], facts["total"], facts["unit"]),
    )
    for name in (*TOKENIZER, *TOKENIZER_OPTIONAL):
        if (base / name).is_file():
            shutil.copyfile(base / name, run.path(name))
    write_json(run.path("generation_config.json"), generation_config(base))
    run.count("parameters", answer["parameters"])
    run.count("matrices", answer["merged"])
    run.resolved["rounding"] = answer["rounding"]


@step("release/gguf", VERSION)
def gguf(run: StepRun, merged: Artifact, name: str, params: ExportParams) -> None:
    """Writes one file per quantisation; `name` begins the files' names.

    Raises:
        InputError: llama.cpp does not know the architecture or the tokenizer, or the extra `gguf` is not installed.
    """
    answer = run_child(
        "tasks.release.gguf_job:write",
        GgufRequest(model=run.checkout(merged), folder=run.folder, quantizations=params.gguf, name=name),
        lambda facts: run.progress(facts["done"], facts["total"], facts["unit"]),
    )
    for quantization, size in answer["bytes"].items():
        run.count(f"bytes_{quantization}", size)


@step("release/verify-export", VERSION)
def verify_export(
    run: StepRun,
    adapter: Artifact,
    model: Artifact,
    items: Artifact,
    merged: Artifact,
    gguf: Artifact | None,
    params: ExportParams,
) -> None:
    """Answers a sample of the evaluation's questions and compares every export with the adapter.

    Raises:
        ReleaseError: an export is further from the original than its bound.
    """
    base = run.checkout(model)
    tokenizer = TextTokenizer.load(base)
    questions = [item.question for item in itertools.islice(run.read(items, Item), params.verify_items)]
    prompts = [prompt_ids(tokenizer, [Message(role="user", content=question)]) for question in questions]
    exports = {MERGED: run.checkout(merged)} | _files(run, gguf)
    answer = run_child(
        "tasks.release.compare_job:compare",
        CompareRequest(
            model=base,
            adapter=run.checkout(adapter),
            exports=exports,
            prompts=prompts,
            texts=[Text(text=text, ids=tokenizer.encode(text)) for text in questions],
            max_new_tokens=MAX_NEW_TOKENS,
            stop_ids=stop_ids(tokenizer),
            pad_id=tokenizer.end_of_document,
        ),
        lambda facts: run.progress(facts["done"], facts["total"], facts["unit"]),
    )
    for name, difference in answer["exports"].items():
        if not difference["same_ids"]:
            raise ReleaseError(f"release/verify-export: {name} splits text into other tokens than the trained model")
        bound = params.max_divergence if name == MERGED or "Q8" in name else params.max_divergence_q4
        if not difference["divergence"] <= bound:
            raise ReleaseError(
                f"release/verify-export: {name} diverges from the trained adapter by {difference['divergence']:.4f} "
                f"nats per token, at most {bound} is allowed"
            )
    write_json(run.path("agreement.json"), answer["exports"])
    run.count("questions", len(prompts))


def _files(run: StepRun, gguf: Artifact | None) -> dict[str, Path]:
    return {} if gguf is None else {path.name: path for path in sorted(run.checkout(gguf).glob("*.gguf"))}
