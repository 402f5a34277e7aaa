"""GGUF files in llama.cpp itself: they load, and answer as the adapter was trained to."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Message
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
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
    both = ExportParams(merged="always", gguf=("Q8_0", "Q4_K_M"))
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


def loss(answers: list[dict[str, Any]]) -> float:
    """Mean over all tokens of all answers, in nats."""
    return statistics.mean(-value for one in answers for value in one["logprobs"])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("quantization", "most_loss_change", "longest_lead"), [("Q8_0", 0.02, 0.05), ("Q4_K_M", 1.0, 4.0)]
)
def test_gguf_in_llama_cpp_answers_as_trained(
    exported: dict[str, Any], quantization: str, most_loss_change: float, longest_lead: float
) -> None:
    """Against the trained adapter four bits cost this small model a lot; against transformers' reading of the same file
    llama.cpp may differ by its own arithmetic only.
    """
    request = exported["request"] | {"gguf": str(exported["folder"] / f"stub-{quantization}.gguf")}
    found = run_child("tests.release.llama_job:in_llama_cpp", request)
    reread = run_child("tests.release.llama_job:in_transformers", request)["answers"]
    trained, there = loss(request["answers"]), loss(found["answers"])
    leads = [lead for one in found["answers"] for lead in one["leads"]]
    same = sum(lead == 0 for lead in leads)
    print(f"\n{quantization}: {same}/{len(leads)} tokens, longest lead of another {max(leads):.3f} nats")
    print(f"loss {trained:.4f} trained, {there:.4f} in llama.cpp, {loss(reread):.4f} in transformers")
    print([one["text"] for one in found["chat"]], exported["texts"])
    assert abs(there - trained) <= most_loss_change
    assert abs(there - loss(reread)) <= 0.05
    assert max(leads) <= longest_lead
    assert found["chat"][0]["text"].startswith("The capital of France is Paris")
    assert quantization != "Q8_0" or found["chat"][0]["text"] == exported["texts"][0]
    assert [one["prompt_tokens"] for one in found["chat"]] == [len(prompt) for prompt in request["prompts"]]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_shape_that_is_trained_here_says_the_same_in_llama_cpp(tmp_path: Path, tokenizer_folder: Path) -> None:
    request = {"tokenizer": str(tokenizer_folder), "folder": str(tmp_path), "text": "Hello, world 12345!\n\treturn 'é'"}
    found = run_child("tests.release.llama_job:shapes", request)

    print(found)
    for name, made in found.items():
        assert made["same_ids"], name
        assert made["Q8_0"] < 0.01, name
        assert made["Q4_K_M"] < 0.5, name
