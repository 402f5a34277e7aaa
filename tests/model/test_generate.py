"""Generation writes what transformers writes, and draws what the model's distribution says."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.model.child import run_child
from tasks.model.request import WritingRequest


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    request = {"folder": str(tmp_path_factory.mktemp("made")), "continuous": False}
    return run_child("tests.model.generation_job:run", request)


def test_every_family_of_the_loop_writes_what_transformers_writes(made: dict[str, Any]) -> None:
    for family, texts in made["families"].items():
        assert texts["ours"] == texts["plain"], family
        assert len({len(text) for text in texts["ours"]}) > 1, family  # rows that end at different places


def test_samples_depend_on_seed_and_prompt_and_not_on_what_is_beside_them(made: dict[str, Any]) -> None:
    for family, texts in made["families"].items():
        assert texts["sampled"] == texts["again, in small batches"], family
        assert texts["sampled"] != texts["another seed"], family


def test_samples_have_the_models_own_distribution(made: dict[str, Any]) -> None:
    assert made["likeliest"] < 0.9  # something to choose
    assert made["distance"] < 0.06  # 4,000 draws from 97 words


def test_what_the_loop_cannot_do_goes_to_generate(made: dict[str, Any]) -> None:
    assert made["refused"] == {"gemma2": "models of type gemma2", "windows": "attention in windows"}


def test_likeliest_tokens_stand_where_their_token_was_chosen(made: dict[str, Any]) -> None:
    assert made["scores"]["same"]
    assert made["scores"]["worst"] < 1e-5


@pytest.mark.slow
def test_continuous_batching_writes_the_same_and_is_seeded(tmp_path: Path) -> None:
    found = run_child("tests.model.generation_job:run", {"folder": str(tmp_path), "continuous": True})["continuous"]
    assert found["greedy"] == found["plain"]
    first, second = found["sampled"]
    assert first == second


@pytest.mark.slow
def test_writing_job_keeps_texts_and_goes_on_where_it_was(tiny_model: Path, tmp_path: Path) -> None:
    prompts = [{"ids": [40, 50, 60], "limit": 6}, {"ids": [70], "limit": 6}]
    (tmp_path / "prompts").write_text("".join(json.dumps(one) + "\n" for one in prompts))
    request = WritingRequest(
        model=tiny_model,
        prompts=tmp_path / "prompts",
        target=tmp_path / "texts.parquet",
        finished=tmp_path / "finished",
        stop_ids=(2,),
        pad_id=0,
        sampled=True,
        precision="float32",
    )
    answer = run_child("tasks.model.generate:write", request)

    rows = pq.read_table(tmp_path / "texts.parquet").to_pylist()
    assert (answer["texts"], answer["engine"], answer["dtype"]) == (2, "places", "float32")
    assert all(row["text"] for row in rows)

    (line,) = [line for line in (tmp_path / "finished").read_text().splitlines() if line]
    changed = json.loads(line)
    changed["made"][0]["ids"] = [77]
    (tmp_path / "finished").write_text(json.dumps(changed) + "\n" + line[:40])
    run_child("tasks.model.generate:write", request)
    assert [77] in [row["ids"] for row in pq.read_table(tmp_path / "texts.parquet").to_pylist()]
