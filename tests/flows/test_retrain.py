import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter
from rich.console import Console

from deployments import console
from deployments.cli.running import RunFailed, run_retrain
from deployments.cli.summary import print_refusal
from flows.params import Phase, RetrainParams
from flows.resolve import resolve, scheduled_start
from flows.retrain import workflow
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.ledger import RunReport
from tasks.base.records import Document, Verdict
from tasks.base.runs import read_json, read_records
from tasks.base.steps import explaining
from tasks.base.store import Store
from tests.emulators.openai_api import OpenAIEmulator
from tests.flows.conftest import Finished, tiny_params
from tests.flows.sample_repository import edit_page

STEPS = [
    "harvest/snapshot",
    "harvest/pulls",
    "harvest/wiki",
    "corpus/filter",
    "corpus/redact",
    "corpus/stale-pages",
    "corpus/deduplicate",
    "corpus/split",
    "model/base",
    "corpus/chunk",
    "synthesis/facts",
    "synthesis/dialogues",
    "evaluation/items",
    "mixture/assemble",
    "mixture/leak-guard",
    "mixture/data-report",
    "training/train",
    "evaluation/answer-base",
    "evaluation/answer-tuned",
    "evaluation/report",
    "release/gate",
    "release/index",
    "release/publish",
]


def states(report: RunReport) -> dict[str, str]:
    return {outcome.step: outcome.state for outcome in report.steps}


def reference(report: RunReport, step: str) -> Artifact:
    (outcome,) = [outcome for outcome in report.steps if outcome.step == step]
    assert outcome.artifact is not None
    return Artifact(step=step, version="", **outcome.artifact)


def changed(params: RetrainParams, **sections: dict[str, object]) -> RetrainParams:
    document = params.model_dump(mode="json")
    for name, values in sections.items():
        document[name] |= values
    return RetrainParams.model_validate(document)


def test_whole_run_completes_every_step_in_order(finished: Finished):
    assert [outcome.step for outcome in finished.report.steps] == STEPS
    assert set(states(finished.report).values()) == {"Completed"}
    assert finished.report.decision == "allow"
    assert "<html" in Path(finished.report.report or "").read_text("utf-8")


def test_whole_run_report_is_what_the_ledger_holds(finished: Finished):
    path = Path(finished.store.root.path) / "ledger" / finished.report.run / "run.json"
    assert RunReport.model_validate_json(path.read_text("utf-8")) == finished.report
    assert list(json.loads(path.read_text())) == [
        "run",
        "seconds",
        "resolved",
        "steps",
        "decision",
        "scores",
        "report",
        "release",
    ]


def test_whole_run_release_folder_is_in_hub_layout(finished: Finished):
    folder = Path(finished.report.release or "")
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md", "report.html"} <= names
    assert "chat_template.jinja" in names
    assert str(finished.repository.parent) not in (folder / "params.json").read_text("utf-8")


def test_whole_run_counts_add_up(finished: Finished):
    table = reference(finished.report, "mixture/assemble").counts
    trained = reference(finished.report, "training/train").counts
    assert table["tokens_in"] == table["tokens"] - table["tokens_repeated"] + sum(
        number for name, number in table.items() if name.startswith("tokens_out:")
    )
    assert trained["targets"] == table["trained_tokens"]


def test_second_run_does_no_work(finished: Finished):
    report = run_retrain(finished.params, Phase.PUBLISH)
    assert states(report) == dict.fromkeys(STEPS, "Cached")
    assert report.release == finished.report.release
    with get_client(sync_client=True) as client:
        pages = client.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate({"key": {"any_": ["data-report", "evaluation-report"]}}),
            flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [report.run]}}),
        )
    shown = {page.key: str(page.data) for page in pages}
    assert "under the loss" in shown["data-report"], "a Cached step shows its report as well"
    assert "| recall | " in shown["evaluation-report"]


def test_explain_after_a_run_is_all_hits_and_names_what_a_change_touches(finished: Finished):
    params = changed(finished.params, training={"learning_rate": 2e-2})
    resolved = resolve(finished.store, params, scheduled_start())
    with explaining() as explanations:
        workflow(finished.store, params, resolved)
    misses = {explanation.step: explanation.differences for explanation in explanations if not explanation.hit}
    assert misses["training/train"] == ("parameters.params.learning_rate: 0.01 → 0.02",)
    assert list(misses) == [
        "training/train",
        "evaluation/answer-tuned",
        "evaluation/report",
        "release/gate",
        "release/publish",
    ]


def test_refusing_gate_fails_the_run_as_refused_every_time(finished: Finished):
    params = changed(finished.params, gate={"min_recall_gain": 1.0})
    for expected in ("Completed", "Cached"):
        with pytest.raises(RunFailed, match="recall gain") as failure:
            run_retrain(params, Phase.PUBLISH)
        assert failure.value.exit_code == 3
        report = failure.value.report
        assert (report.decision, report.release) == ("refuse", None)
        assert states(report)["release/gate"] == expected
        assert states(report)["release/publish"] == "Skipped"
        assert "The gate refuses it." in Path(report.report or "").read_text("utf-8")
        assert report.scores["recall"]["tuned"]["items"] == report.scores["recall"]["difference"]["items"]
        assert "(gate.min_recall_gain)" in report.resolved["refused"][0]
        assert report.resolved["gate_warnings"][0].startswith("gate.min_recall_gain: ")
    shown = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "output", Console(file=shown, width=200))
        print_refusal(finished.store, report)
    for part in ("recall (", "Refused because", "recall gain over the base model", str(report.report)):
        assert part in shown.getvalue()


@pytest.mark.slow
def test_second_release_is_compared_with_the_first_on_the_same_questions(finished: Finished, tmp_path: Path):
    store = tmp_path / "store"
    shutil.copytree(finished.store.root.path, store, ignore=shutil.ignore_patterns("prefect"), symlinks=True)
    params = changed(finished.params, training={"backend": "fast"}).model_copy(update={"store": str(store)})
    report = run_retrain(params, Phase.PUBLISH)
    previous = read_json(Store(str(store)), reference(report, "evaluation/report"), "summary.json")["previous"]
    first = read_json(finished.store, reference(finished.report, "release/publish"), "manifest.json")
    asked = reference(finished.report, "evaluation/answer-tuned").counts["records"]
    assert previous["name"] == first["revision"]
    assert (previous["shared"], previous["only_now"], previous["only_then"]) == (asked, 0, 0)
    assert "recall" in previous["differences"]
    assert states(run_retrain(params, Phase.PUBLISH)) == dict.fromkeys(STEPS, "Cached")


def test_judge_grades_every_arm_and_the_generator_is_refused_as_judge(finished: Finished, tmp_path: Path):
    store = tmp_path / "store"
    shutil.copytree(finished.store.root.path, store, ignore=shutil.ignore_patterns("prefect"), symlinks=True)
    with OpenAIEmulator() as server:
        server.reply = lambda body: json.dumps({"grade": "partial"})
        judge = {"model": "gpt-5-mini", "base_url": server.base_url, "budget_usd": 5.0}
        params = changed(finished.params, evaluation={"judge": judge}).model_copy(update={"store": str(store)})
        report = run_retrain(params, Phase.EVALUATE)
        own = {"evaluation/judge-base", "evaluation/judge-tuned", "evaluation/report"}
        assert {step for step, state in states(report).items() if state == "Completed"} == own
        summary = read_json(Store(str(store)), reference(report, "evaluation/report"), "summary.json")
        assert set(summary["judge"]) == {"base", "tuned"}
        row = summary["judge"]["tuned"]
        assert (row["mean"], row["partial"], row["kappa"]) == (0.5, row["items"], None)
        asked = len(server.received)
        assert 0 < row["items"] <= asked <= 2 * row["items"]  # answers that both arms give are graded once
        written = {"provider": "openai", "model": "gpt-5-mini", "base_url": server.base_url, "budget_usd": 1.0}
        with pytest.raises(InputError, match=r"evaluation\.judge\.model: gpt-5-mini writes the training dialogues"):
            run_retrain(changed(params, synthesis=written), Phase.EVALUATE)
        assert len(server.received) == asked


def test_damaged_table_is_redone_and_nothing_after_it(finished: Finished, tmp_path: Path):
    store = tmp_path / "store"
    shutil.copytree(finished.store.root.path, store, ignore=shutil.ignore_patterns("prefect"))
    table = store / "cas" / reference(finished.report, "mixture/assemble").sha256 / "table.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"?")
    report = run_retrain(finished.params.model_copy(update={"store": str(store)}), Phase.PUBLISH)
    assert states(report) == dict.fromkeys(STEPS, "Cached") | {"mixture/assemble": "Completed"}


def test_edited_page_reruns_exactly_what_depends_on_it(finished: Finished, tmp_path: Path):
    store, repository = tmp_path / "store", tmp_path / "post"
    shutil.copytree(finished.store.root.path, store)
    shutil.copytree(finished.repository, repository)
    edit_page(repository)
    params = tiny_params(repository, Path(finished.params.training.base_model), store)
    report = run_retrain(params, Phase.DATASET)
    cached = {step for step, state in states(report).items() if state == "Cached"}
    assert cached == {"harvest/pulls", "harvest/wiki", "model/base"}


def test_bundle_pull_requests_become_documents(prefect_harness: None, tiny_model: Path, bundle: Path, tmp_path: Path):
    params = tiny_params(bundle, tiny_model, tmp_path / "store")
    report = run_retrain(params, Phase.HARVEST)
    assert states(report) == dict.fromkeys(STEPS[:3], "Completed")
    pulls = reference(report, "harvest/pulls")
    found = list(read_records(Store(params.store), pulls, Document))
    assert [document.path for document in found] == ["1", "2", "3"]
    assert found[0].meta["files"][0]["path"] == "post/parcel.py"
    assert "+def weigh_parcel(grams):" in found[0].meta["files"][0]["patch"]
    assert [document.meta["merged_at"] is not None for document in found] == [True, True, False]


def test_switched_off_sources_are_skipped(prefect_harness: None, tiny_model: Path, bundle: Path, tmp_path: Path):
    params = tiny_params(bundle, tiny_model, tmp_path / "store")
    source = params.sources[0].model_copy(update={"pulls": None, "wiki": None})
    report = run_retrain(params.model_copy(update={"sources": (source,)}), Phase.HARVEST)
    assert states(report) == {
        "harvest/snapshot": "Completed",
        "harvest/pulls": "Skipped",
        "harvest/wiki": "Skipped",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repo": "no/such/folder"}, "no/such/folder"),
        ({"as_of": "1999-01-01"}, "as_of"),
    ],
)
def test_bad_source_is_one_line_and_exit_2(
    change: dict[str, str],
    message: str,
    prefect_harness: None,
    tiny_model: Path,
    sample_repository: Path,
    tmp_path: Path,
):
    params = tiny_params(sample_repository, tiny_model, tmp_path / "store")
    document = params.model_dump(mode="json")
    document["sources"][0] |= change
    with pytest.raises(InputError, match=message) as failure:
        run_retrain(RetrainParams.model_validate(document), Phase.HARVEST)
    assert failure.value.exit_code == 2
    assert "\n" not in str(failure.value)
    assert not list(Store(params.store).steps())


def test_verdicts_of_every_step_are_readable(finished: Finished):
    for outcome in finished.report.steps:
        assert outcome.artifact is not None
        counts = outcome.artifact["counts"]
        listed = sum(number for name, number in counts.items() if name.startswith("verdict:"))
        path = Path(outcome.artifact["uri"]) / "verdicts.jsonl"
        found = path.read_text("utf-8").splitlines() if path.exists() else []
        assert len([Verdict.model_validate_json(line) for line in found]) == listed
