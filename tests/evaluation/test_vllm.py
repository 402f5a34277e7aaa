"""The vLLM engine: what it does with an adapter, and that it answers as transformers does."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Answer, Dialogue, Document, Item, Split
from tasks.base.runs import read_json, read_records
from tasks.base.store import Store
from tasks.evaluation.answer import VLLM_VARIABLE, answer, is_merged, prompt, vllm_python
from tasks.evaluation.general import general_items
from tasks.evaluation.params import AnswerParams, Arm, Engine, GeneralSuite, ItemsParams
from tasks.model.base_model import base_model
from tasks.model.child import run_child
from tasks.model.params import BaseModelParams
from tasks.text.chat import prompt_ids, stop_ids
from tasks.text.tokenizer import TextTokenizer
from tests.evaluation.conftest import adapter_of, artifact_of, chunk, write_adapter

VLLM_PYTHON = Path(__file__).resolve().parents[2] / ".venv-vllm" / "bin" / "python"
ASKED = ItemsParams(items=1, general_items=16, general_suites=(GeneralSuite.KNOWN_FACTS,))


def _config(folder: Path, **config: object) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_adapters_that_vllm_does_not_serve_are_merged(tmp_path: Path) -> None:
    assert [is_merged(_config(tmp_path, r=rank)) for rank in (4, 512, 513, 768)] == [False, False, True, True]
    assert is_merged(_config(tmp_path, r=8, use_dora=True))
    assert is_merged(_config(tmp_path, r=8, modules_to_save=["model.embed_tokens"]))


def test_served_rank_is_the_next_limit_that_vllm_has(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tasks.model.vllm_job import served_rank

    ranks = [served_rank(_config(tmp_path, r=rank)) for rank in (4, 8, 100, 512)]
    assert ranks == [8, 8, 128, 512]


def test_missing_vllm_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VLLM_VARIABLE, raising=False)
    with pytest.raises(InputError, match=r"evaluation\.engine: vllm is not installed here; .* RAWTUNE_VLLM_PYTHON"):
        vllm_python()
    monkeypatch.setenv(VLLM_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(InputError, match="RAWTUNE_VLLM_PYTHON"):
        vllm_python()
    (tmp_path / "none").touch()
    assert vllm_python() == Path(os.environ[VLLM_VARIABLE])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vllm_answers_as_transformers_does_with_an_adapter_and_goes_on_where_it_was(
    stub_model: Path, tmp_path: Path
) -> None:
    """In 32 bits, where two engines hardly ever find two tokens equally likely."""
    assert VLLM_PYTHON.exists(), "run `make setup-vllm` first"
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    write_adapter(adapter, stub_model, 0.05)
    tokenizer = TextTokenizer.load(stub_model)
    prompts = [
        {"ids": prompt_ids(tokenizer, prompt(item)), "limit": 16 if place % 2 else 12}
        for place, item in enumerate(general_items(ASKED))
    ]
    for name, lines in (("prompts", prompts), ("rows", [])):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))

    def request(name: str, adapter: Path | None = adapter) -> dict[str, Any]:
        return {
            "model": str(stub_model),
            "adapter": str(adapter) if adapter else None,
            "prompts": str(tmp_path / "prompts"),
            "rows": str(tmp_path / "rows"),
            "finished": str(tmp_path / name),
            "batch_tokens": 4096,
            "stop_ids": list(stop_ids(tokenizer)),
            "pad_id": tokenizer.end_of_document,
            "precision": "float32",
            "kl_stream": None,
        }

    def by_vllm() -> list[dict[str, Any]]:
        names = ("rows", "batch_tokens", "kl_stream")
        asked = {name: value for name, value in request("vllm").items() if name not in names}
        return list(run_child("tasks.model.vllm_job:write", asked, python=VLLM_PYTHON)["answers"])

    both = {"requests": [request("base", None), request("transformers")]}
    base, one = (found["answers"] for found in run_child("tests.evaluation.several_job:run", both)["answers"])
    other = by_vllm()
    same = sum(first == second for first, second in zip(one, other, strict=True))
    assert same >= 0.9 * len(prompts), same
    assert sum(first == second for first, second in zip(base, one, strict=True)) <= 0.5 * len(prompts)

    log = tmp_path / "vllm"
    batches = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert len(batches) == 2  # one of each limit
    batches[0]["made"][0]["ids"] = [77]
    log.write_text(json.dumps(batches[0]) + "\n")
    resumed = by_vllm()
    changed = [first["ids"] for first, second in zip(resumed, other, strict=True) if first != second]
    assert changed == [[77]]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vllm_step_merges_an_adapter_of_a_high_rank_and_leaves_the_same_files(
    store: Store,
    train: list[Document],
    talks: list[Dialogue],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert VLLM_PYTHON.exists(), "run `make setup-vllm` first"
    monkeypatch.setenv(VLLM_VARIABLE, str(VLLM_PYTHON))
    model = base_model.direct(store, params=BaseModelParams())
    asked: list[Item] = general_items(ASKED)
    inputs: dict[str, Any] = {
        "items": artifact_of(store, records=asked),
        "chunks": artifact_of(store, records=[chunk(one, Split.TRAIN) for one in train]),
        "dialogues": artifact_of(store, records=talks),
        "documents": artifact_of(store, train=train, held_out=[]),
        "model": model,
        "adapter": adapter_of(store, store.checkout(model), 0.005, rank=520),
        "arm": Arm.TUNED,
    }
    made: dict[Engine, Artifact] = {
        engine: answer.named("answer-tuned").direct(
            store, params=AnswerParams(engine=engine, max_new_tokens=4, loss_tokens=100), **inputs
        )
        for engine in Engine
    }
    one, other = ([found.text for found in read_records(store, made[engine], Answer)] for engine in Engine)
    assert sum(first == second for first, second in zip(one, other, strict=True)) >= 0.5 * len(asked)
    first, second = (read_json(store, made[engine], "losses.json") for engine in Engine)
    assert first == second  # always by transformers, with the adapter as it is
    noted = [manifest.resolved.get("merge_rounding") for manifest in store.manifests("evaluation/answer-tuned")]
    (rounding,) = [found for found in noted if found is not None]
    assert 0 < rounding < 0.2
    assert not list(store.local("cache", "answers").rglob("merged"))
