"""Human corrections through the whole workflow: the edited dialogue is trained on, and nothing before it is redone."""

import json
from pathlib import Path

import pytest

from deployments.cli.running import run_retrain
from flows.params import Phase
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport
from tasks.base.records import Dialogue
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.synthesis.review import export, import_edits
from tests.flows.conftest import tiny_params

BEFORE = {
    "harvest/snapshot",
    "harvest/pulls",
    "corpus/filter",
    "corpus/redact",
    "corpus/stale-pages",
    "corpus/deduplicate",
    "corpus/split",
    "model/base",
    "corpus/chunk",
}


def reference(report: RunReport, step: str) -> Artifact:
    (outcome,) = [outcome for outcome in report.steps if outcome.step == step]
    assert outcome.artifact is not None
    return Artifact(step=step, version="", **outcome.artifact)


@pytest.mark.slow
def test_edited_dialogue_is_trained_on_and_the_steps_before_stay_cached(
    prefect_harness: None, sample_repository: Path, tiny_model: Path, tmp_path: Path
):
    params = tiny_params(sample_repository, tiny_model, tmp_path / "store")
    params = params.model_copy(update={"dataset": params.dataset.model_copy(update={"train_tokens": None})})
    store = Store(params.store)
    first = run_retrain(params, Phase.DATASET)
    edited = tmp_path / "edited.jsonl"
    made = reference(first, "synthesis/dialogues")
    export(store, made, reference(first, "corpus/split"), edited)
    lines = [json.loads(line) for line in edited.read_text("utf-8").splitlines()]
    trained = {dialogue.id for dialogue in read_records(store, made, Dialogue) if dialogue.split == "train"}
    chosen, dropped = [line for line in lines if line["id"] in trained][:2]
    chosen["answer"], dropped["drop"] = "A person knows better.", True
    edited.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    import_edits(store, made, edited, "ana")

    second = run_retrain(params, Phase.DATASET)

    states = {outcome.step: outcome.state for outcome in second.steps}
    assert {name for name, state in states.items() if state == "Cached"} >= BEFORE
    assert states["synthesis/dialogues"] == states["mixture/assemble"] == "Completed"
    after = {one.id: one for one in read_records(store, reference(second, "synthesis/dialogues"), Dialogue)}
    assert after[chosen["id"]].messages[-1].content == "A person knows better."
    assert after[chosen["id"]].provenance.model == "template+human:ana"
    assert dropped["id"] not in after
    assert reference(second, "mixture/assemble").sha256 != reference(first, "mixture/assemble").sha256
    parts = (Path(store.blob(reference(second, "mixture/assemble").sha256).path) / "rows.jsonl").read_text("utf-8")
    assert f'"{chosen["id"]}"' in parts
    assert f'"{dropped["id"]}"' not in parts
    assert second.resolved["corrections"]["counts"] == {"changed": 1, "dropped": 1, "records": 2}
    again = run_retrain(params, Phase.DATASET)
    assert {outcome.state for outcome in again.steps} <= {"Cached", "Skipped"}
