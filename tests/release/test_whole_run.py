"""The whole workflow against an emulated Hub: refused at the door, published once, not published again, refused."""

import re
from pathlib import Path

import pytest

from deployments.running import RunFailed, run_retrain
from flows.params import RetrainParams
from flows.phases import Phase
from tasks.base.errors import InputError
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tests.emulators.hub_api import HubEmulator
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import make_repository
from tests.release.conftest import REPO, contents, on_hub


def with_section(params: RetrainParams, **sections: dict[str, object]) -> RetrainParams:
    """The parameters with fields of some sections changed."""
    document = params.model_dump()
    for name, fields in sections.items():
        document[name] |= fields
    return RetrainParams.model_validate(document)


DATA = "octocat/hello-data"


def data_on_hub(emulator: HubEmulator) -> dict[str, bytes]:
    """Path → bytes of the dataset repository's `main`."""
    files = emulator.hub.repositories["datasets", DATA].at("main").files
    return {name: file.data for name, file in files.items() if name != ".gitattributes"}


def folder_of(report: RunReport, name: str) -> Path:
    """Where a step of the run left its artifact."""
    (found,) = [step.artifact for step in report.steps if step.step == name]
    assert found is not None
    return Path(found["uri"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whole_run_publishes_to_the_hub_once_and_only_what_the_gate_allows(
    prefect_harness: None, tiny_model: Path, emulator: HubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "post")
    params = with_section(
        tiny_params(repository, tiny_model, tmp_path / "store"),
        release={"repo_id": REPO, "dataset_repo_id": DATA},
        training={"usd_per_hour": 3600.0, "max_usd": None},
    )
    store = Store(params.store)

    for token, says in (("read", "read-only"), ("fine", rf"dataset_repo_id.*lacks repo\.write on {DATA}")):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(InputError, match=says):
            run_retrain(params, Phase.PUBLISH)
    assert store.steps() == []

    monkeypatch.setenv("HF_TOKEN", "write")
    too_strict = with_section(params, gate={"min_recall_gain": 1.0})
    with pytest.raises(RunFailed, match="recall gain") as refused:
        run_retrain(too_strict, Phase.PUBLISH)
    assert refused.value.exit_code == 3
    too_dear = with_section(params, training={"max_usd": 0.01})
    with pytest.raises(RunFailed, match=r"budget exceeded: training\.max_usd: \$.* spent of \$0\.01") as refused:
        run_retrain(too_dear, Phase.PUBLISH)
    assert refused.value.exit_code == 3
    assert emulator.writes() == []
    assert emulator.hub.repositories == {}

    report = run_retrain(params, Phase.PUBLISH)
    assert report.decision == "allow"
    assert report.release is not None
    assert report.release.startswith(f"{emulator.url}/{REPO}/tree/snapshot/")
    folder = folder_of(report, "release/publish")
    assert on_hub(emulator, "main") == contents(folder)
    assert data_on_hub(emulator) == contents(folder_of(report, "release/dataset"))
    assert emulator.hub.repositories["datasets", DATA].private
    card = (folder / "README.md").read_text("utf-8")
    assert f"datasets: {DATA}" in card
    assert "| files | 22 |" in card
    assert re.search(r"\| training \| \$(?!0\.00)[0-9.]+ for [0-9]+ s \|", card)

    writes = len(emulator.writes())
    again = run_retrain(params, Phase.PUBLISH)
    assert {step.state for step in again.steps} == {"Cached"}
    assert again.release == report.release
    assert len(emulator.writes()) == writes

    with pytest.raises(RunFailed, match="recall gain"):
        run_retrain(too_strict, Phase.PUBLISH)
    assert len(emulator.writes()) == writes
    assert on_hub(emulator, "main") == contents(folder)
