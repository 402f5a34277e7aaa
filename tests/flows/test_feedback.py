"""Votes of the chat in the next run's dataset: trained on, and guarded against what the evaluation asks."""

from pathlib import Path

import pytest

from deployments.cli.running import run_retrain
from flows.params import Phase, RetrainParams
from flows.planning import plan_run
from flows.resolve import resolve, scheduled_start
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport
from tasks.base.records import Item, Message
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.release.feedback import keep_vote
from tests.flows.conftest import tiny_params


def made(report: RunReport, step: str) -> Artifact:
    (outcome,) = [outcome for outcome in report.steps if outcome.step == step]
    assert outcome.artifact is not None
    return Artifact(step=step, version="", **outcome.artifact)


def conversation(question: str, answer: str) -> list[Message]:
    return [Message(role="user", content=question), Message(role="assistant", content=answer)]


@pytest.mark.slow
def test_votes_are_trained_on_and_their_questions_are_not_asked(
    prefect_harness: None, tiny_model: Path, sample_repository: Path, tmp_path: Path
) -> None:
    params = tiny_params(sample_repository, tiny_model, tmp_path / "store")
    document = params.model_dump(mode="json")
    document["dataset"]["train_tokens"] = None  # nothing is left to chance: every dialogue is in the table
    store = Store(params.store)
    first = run_retrain(RetrainParams.model_validate(document), Phase.DATASET)
    asked = list(read_records(store, made(first, "mixture/leak-guard"), Item))
    shown = next(item for item in asked if item.suite == "recall")

    keep_vote(store, "post", "snapshot/x", "tuned", conversation(shown.question, shown.answers[0]), liked=True)
    keep_vote(store, "post", "snapshot/x", "base", conversation("Who moved the parcels?", "Ana did."), liked=True)
    keep_vote(store, "post", "snapshot/x", "base", conversation("Who lost them?", "Nobody."), liked=False)
    document["synthesis"]["feedback"] = str(tmp_path / "store" / "feedback" / "post")
    params = RetrainParams.model_validate(document)
    plan = plan_run(store, params, resolve(store, params, scheduled_start()), None, None)
    second = run_retrain(params, Phase.DATASET)

    votes = made(second, "synthesis/feedback").counts
    assert (votes["votes_trained"], votes["verdict:disliked"]) == (2, 1)
    table = made(second, "mixture/assemble").counts
    assert table["tokens:dialogue-feedback"] > 0
    assert (plan.table.exact, plan.table.tokens) == (True, table["tokens"])
    assert plan.table.sources["dialogue-feedback"] == table["tokens:dialogue-feedback"]
    assert plan.synthesis.dialogues == made(second, "synthesis/dialogues").counts["records"]
    guarded = made(second, "mixture/leak-guard")
    dropped = {verdict.id for verdict in read_verdicts(store, guarded) if verdict.reason.startswith("leak-")}
    assert shown.id in dropped
    assert shown.id not in {item.id for item in read_records(store, guarded, Item)}

    again = run_retrain(RetrainParams.model_validate(document), Phase.DATASET)
    assert {outcome.state for outcome in again.steps} == {"Cached"}
