"""Several sources in one run."""

from collections import Counter
from pathlib import Path

import pytest

from deployments.cli.running import run_retrain
from flows.params import Phase, RetrainParams
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.ledger import RunReport
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import edit_page, make_repository


def two_sources(first: Path, second: Path, model: Path, store: Path, **named: str) -> RetrainParams:
    document = tiny_params(first, model, store).model_dump(mode="json")
    document["sources"].append({"repo": str(second), **named})
    return RetrainParams.model_validate(document)


def made(report: RunReport, step: str) -> list[Artifact]:
    return [
        Artifact(step=step, version="", **outcome.artifact)
        for outcome in report.steps
        if outcome.step == step and outcome.artifact is not None
    ]


@pytest.mark.slow
def test_run_with_two_repositories_keeps_them_apart_and_their_common_text_once(
    prefect_harness: None, tiny_model: Path, sample_repository: Path, tmp_path: Path
) -> None:
    other = make_repository(tmp_path / "parcels")
    edit_page(other)
    params = two_sources(sample_repository, other, tiny_model, tmp_path / "store")
    store = Store(params.store)
    report = run_retrain(params, Phase.DATASET)

    harvested = [outcome for outcome in report.steps if outcome.step.startswith("harvest/")]
    names = ["harvest/snapshot", "harvest/pulls", "harvest/wiki"] * 2
    assert [(outcome.step, outcome.state) for outcome in harvested] == [(name, "Completed") for name in names]
    assert [source["snapshot"]["repo"] for source in report.resolved["sources"]] == ["post", "parcels"]

    (kept,) = made(report, "corpus/filter")
    documents = list(read_records(store, kept, Document))
    assert Counter(item.repo for item in documents) == {"post": 25, "parcels": 25}
    assert len({item.id for item in documents}) == kept.counts["documents"] == 50
    (unique,) = made(report, "corpus/deduplicate")
    # The other repository is a copy with one page edited.
    assert unique.counts == {"documents": 50, "records": 26, "verdict:duplicate": 24}
    assert {verdict.id.split("/")[0] for verdict in read_verdicts(store, unique)} <= {"post", "parcels"}
    (table,) = made(report, "mixture/assemble")
    assert table.counts["rows"] > 0

    again = run_retrain(params, Phase.DATASET)
    assert {outcome.state for outcome in again.steps} == {"Cached"}
    edit_page(other)
    third = run_retrain(params, Phase.HARVEST)
    states = [outcome.state for outcome in third.steps]
    assert states == ["Cached", "Cached", "Cached", "Completed", "Cached", "Cached"]


def test_run_with_two_repositories_of_one_base_name_wants_a_name(
    prefect_harness: None, tiny_model: Path, sample_repository: Path, tmp_path: Path
) -> None:
    other = make_repository(tmp_path / "fork" / "post")
    words = r"^sources: .*post and .*post would both be filed under post; .* give one of them another `name`$"
    with pytest.raises(InputError, match=words) as raised:
        run_retrain(two_sources(sample_repository, other, tiny_model, tmp_path / "store"), Phase.HARVEST)
    assert "\n" not in str(raised.value)

    params = two_sources(sample_repository, other, tiny_model, tmp_path / "store", name="fork/post")
    report = run_retrain(params, Phase.HARVEST)
    store = Store(params.store)
    found = [
        item.id for artifact in made(report, "harvest/snapshot") for item in read_records(store, artifact, Document)
    ]
    assert len(set(found)) == len(found) == 44
    assert {identifier.rsplit("/file/", 1)[0] for identifier in found} == {"post", "fork/post"}
