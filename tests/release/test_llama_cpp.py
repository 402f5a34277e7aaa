"""GGUF files in llama.cpp itself: they load, and answer as the adapter was trained to."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from tasks.base.records import Message
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact, Store
from tasks.model.base_model import base_model
from tasks.model.child import run_child
from tasks.model.params import STUB, BaseModelParams
from tasks.release.export import gguf, merge
from tasks.release.params import ExportParams
from tasks.text.chat import prompt_ids, stop_ids
from tasks.text.tokenizer import TextTokenizer
from tests.release.conftest import write_adapter

QUESTIONS = ("What is the capital of France?", "Name three colours.", "What is a compiler?")
TOKENS = 8


@step("tests/stub-adapter", "1")
def _adapter(run: StepRun) -> None:
    write_adapter(run.folder, 1, {"q_proj": (576, 576), "v_proj": (576, 192)}, layers=30, scale=0.03)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The stub with an adapter, exported both ways, and the trained adapter's answers."""
    store = Store(str(tmp_path_factory.mktemp("exported") / "store"))
    model: Artifact = base_model.direct(store, BaseModelParams(base_model=STUB))
    adapter = _adapter.direct(store)
    both = ExportParams(merged="always", gguf=("Q8_0", "Q4_0"))
    files = gguf.direct(store, merge.direct(store, adapter, model), "stub", both)
    tokenizer = TextTokenizer.load(store.checkout(model))
    request = {
        "model": str(store.checkout(model)),
        "adapter": str(store.checkout(adapter)),
        "questions": QUESTIONS,
        "prompts": [prompt_ids(tokenizer, [Message(role="user", content=question)]) for question in QUESTIONS],
        "stop_ids": list(stop_ids(tokenizer)),
        "tokens": TOKENS,
    }
    answers = run_child("tests.release.llama_job:trained", request)["answers"]
    texts = [tokenizer.decode([token for token in one["ids"] if token not in stop_ids(tokenizer)]) for one in answers]
    return {"request": request | {"answers": answers}, "texts": texts, "folder": Path(store.checkout(files))}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("quantization", "least_agreement", "most_loss_change"), [("Q8_0", 0.95, 0.02), ("Q4_0", 0.6, 0.5)]
)
def test_gguf_in_llama_cpp_answers_as_trained(
    exported: dict[str, Any], quantization: str, least_agreement: float, most_loss_change: float
) -> None:
    request = exported["request"] | {"gguf": str(exported["folder"] / f"stub-{quantization}.gguf")}
    found = run_child("tests.release.llama_job:in_llama_cpp", request)
    pairs = list(zip(request["answers"], found["answers"], strict=True))
    same = [ours == theirs for one, other in pairs for ours, theirs in zip(one["ids"], other["ids"], strict=True)]
    losses = [statistics.mean(-value for pair in pairs for value in pair[side]["logprobs"]) for side in (0, 1)]
    print(f"\n{quantization}: {sum(same)}/{len(same)} tokens, loss {losses[0]:.4f} trained, {losses[1]:.4f} llama.cpp")
    print([one["text"] for one in found["chat"]], exported["texts"])
    assert statistics.mean(same) >= least_agreement
    assert abs(losses[1] - losses[0]) <= most_loss_change
    assert [one["prompt_tokens"] for one in found["chat"]] == [len(prompt) for prompt in request["prompts"]]
    if quantization == "Q8_0":
        assert [one["text"] for one in found["chat"]] == exported["texts"]
