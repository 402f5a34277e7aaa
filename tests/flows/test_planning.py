"""The plan says what the run then does, and asks nobody for money."""

import json
from pathlib import Path

import pytest

from deployments.cli.running import run_retrain
from flows.params import Phase, RetrainParams
from flows.planning import RunPlan, plan_run
from flows.resolve import resolve, scheduled_start
from tasks.base.errors import InputError
from tasks.base.records import Message
from tasks.base.store import Store
from tasks.llm.prices import count_tokens
from tasks.release.feedback import keep_vote
from tasks.training.plan.cards import CARDS
from tests.emulators.openai_api import OpenAIEmulator
from tests.flows.conftest import tiny_params

VOTED = [
    Message(role="user", content="Who moved the parcels?"),
    Message(role="assistant", content="Ana did, on Tuesday."),
]


def changed(params: RetrainParams, **sections: dict[str, object]) -> RetrainParams:
    document = params.model_dump(mode="json")
    for name, values in sections.items():
        document[name] |= values
    return RetrainParams.model_validate(document)


def planned(params: RetrainParams, card: str | None = "h100", usd_per_hour: float | None = 4.0) -> RunPlan:
    store = Store(params.store)
    return plan_run(
        store, params, resolve(store, params, scheduled_start()), CARDS[card] if card else None, usd_per_hour
    )


@pytest.fixture
def params(sample_repository: Path, tiny_model: Path, tmp_path: Path) -> RetrainParams:
    return tiny_params(sample_repository, tiny_model, tmp_path / "store")


def test_plan_with_templates_counts_the_table_that_the_run_then_finds_made(
    prefect_harness: None, params: RetrainParams
):
    made = planned(params)

    assert made.table.exact
    assert (made.synthesis.calls, made.synthesis.usd) == (0, 0)
    report = run_retrain(params, Phase.DATASET)
    states = {step.step: step.state for step in report.steps}
    assert {states[name] for name in ("corpus/split", "corpus/chunk", "synthesis/dialogues", "mixture/assemble")} == {
        "Cached"
    }
    counts = {step.step: step.artifact["counts"] for step in report.steps if step.artifact}
    assert made.table.tokens == counts["mixture/assemble"]["tokens"] <= params.dataset.train_tokens
    assert made.table.rows == counts["mixture/assemble"]["records"]
    assert made.corpus.tokens == {
        name: tokens for name, tokens in counts["corpus/chunk"].items() if name.startswith("tokens:")
    }
    assert made.training.tokens == made.table.tokens * params.training.epochs
    assert made.training.hours == pytest.approx(made.training.tokens / made.training.tokens_per_second / 3600)
    assert made.training.usd == pytest.approx(made.training.hours * 4)


def test_plan_of_an_api_sends_nothing_and_prices_every_method(
    params: RetrainParams, monkeypatch: pytest.MonkeyPatch, prefect_harness: None
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with OpenAIEmulator() as server:
        asking = {
            "provider": "openai",
            "model": "gpt-5-mini",
            "base_url": server.base_url,
            "methods": ("page_qa", "page_instruction", "file_question"),
            "budget_usd": 0.001,
        }
        params = changed(params, synthesis=asking)
        made = planned(params)
        keep_vote(Store(params.store), "post", "snapshot/x", "base", VOTED, liked=True)
        votes = {"feedback": f"{params.store}/feedback/post"}
        with_votes = planned(changed(params, synthesis=votes, dataset={"train_tokens": None}))

        assert server.received == []
        voted = sum(count_tokens(message.content) for message in VOTED)
        assert with_votes.table.sources["dialogue-feedback"] == voted
        assert "dialogue-feedback" not in made.table.sources
        assert set(made.synthesis.methods) == {"page_qa", "page_instruction", "judge"}
        assert made.synthesis.calls == sum(share.calls for share in made.synthesis.methods.values()) > 0
        assert 0.001 < made.synthesis.usd < made.synthesis.worst_usd
        assert not made.synthesis.within_budget
        assert not made.table.exact
        assert made.usd == pytest.approx(made.synthesis.usd + made.training.usd, abs=1e-4)

        richer = changed(params, synthesis={"budget_usd": 1.0})
        assert planned(richer).synthesis.within_budget
        run_retrain(richer, Phase.DATASET)
        billed = sum(one.input_tokens * 0.25e-6 + one.output_tokens * 2e-6 for one in server.billed)
        assert billed < made.synthesis.worst_usd
        again = planned(richer)
        assert (again.synthesis.calls, again.synthesis.usd, again.table.exact) == (0, 0, True)


def test_plan_of_study_material_says_tokens_minutes_and_dollars_and_writes_nothing(params: RetrainParams):
    study = {"methods": ["facts", "study"], "providers": {"study": "local"}, "study": {"manners": ["why"]}}
    studying = changed(params, synthesis=study, dataset={"train_tokens": None})
    made = planned(studying)
    assert made.study is not None
    assert made.study.materials > 10
    assert made.study.dialogues == 2 * made.study.materials
    assert made.study.written_tokens == (2 * 25 + 2 * 3 * 100) * made.study.materials
    assert made.study.prompt_tokens > 5 * 130 * made.study.materials
    assert made.study.usd == pytest.approx(made.study.hours * 4, abs=1e-3)
    assert made.table.sources["dialogue-study"] == made.study.dialogue_tokens
    assert made.usd == pytest.approx(made.study.usd + made.training.usd, abs=1e-3)
    larger = planned(changed(studying, synthesis={"study": {"model": "mistralai/Mistral-7B-Instruct-v0.2"}}))
    assert larger.study is not None
    assert larger.study.hours > 100 * made.study.hours
    assert not list(Store(params.store).manifests("synthesis/written"))


def test_plan_of_a_model_on_the_hub_fetches_no_weights_and_counts_offline(params: RetrainParams):
    mistral = {"base_model": "mistralai/Mistral-7B-Instruct-v0.2", "backend": "auto"}
    made = planned(changed(params, training=mistral), "a100-40", None)

    assert made.corpus.tokenizer == "o200k_base"
    assert not made.table.exact
    assert made.table.tokens == params.dataset.train_tokens == sum(made.table.sources.values())
    assert (made.training.backend, made.training.precision) == ("fast", "bfloat16")
    assert 14 * 2**30 < made.training.peak_bytes < made.training.free_bytes
    assert (made.training.usd, made.usd) == (None, 0)


def test_plan_names_the_limits_that_would_stop_the_training(params: RetrainParams):
    slow = changed(params, training={"max_hours": 1e-9, "max_usd": 1e-9})

    assert planned(slow).training.exceeds == ("training.max_hours 1e-09", "training.max_usd 1e-09")
    assert planned(slow, None, None).training.exceeds == ("training.max_hours 1e-09",)
    assert planned(params).training.exceeds == ()


def test_plan_without_a_price_is_bad_input(params: RetrainParams):
    with pytest.raises(InputError, match="no price is known for nobody"):
        planned(changed(params, synthesis={"provider": "openai", "model": "nobody", "budget_usd": 1}))


def test_plan_is_one_json_object(params: RetrainParams):
    assert RunPlan.model_validate(json.loads(planned(params).model_dump_json())).name == "post"
