"""The whole workflow against an emulated Hub: refused at the door, published once, not published again, refused."""

from pathlib import Path

import pytest

from deployments.running import RunFailed, run_retrain
from flows.params import RetrainParams
from flows.phases import Phase
from tasks.base.errors import InputError
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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whole_run_publishes_to_the_hub_once_and_only_what_the_gate_allows(
    prefect_harness: None, tiny_model: Path, emulator: HubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "post")
    params = with_section(tiny_params(repository, tiny_model, tmp_path / "store"), release={"repo_id": REPO})
    store = Store(params.store)

    monkeypatch.setenv("HF_TOKEN", "read")
    with pytest.raises(InputError, match="read-only"):
        run_retrain(params, Phase.PUBLISH)
    assert store.steps() == []

    monkeypatch.setenv("HF_TOKEN", "write")
    report = run_retrain(params, Phase.PUBLISH)
    assert report.decision == "allow"
    assert report.release is not None
    assert report.release.startswith(f"{emulator.url}/{REPO}/tree/snapshot/")
    release = next(step for step in report.steps if step.step == "release/publish")
    assert release.artifact is not None
    folder = Path(release.artifact["uri"])
    assert on_hub(emulator, "main") == contents(folder)

    writes = len(emulator.writes())
    again = run_retrain(params, Phase.PUBLISH)
    assert {step.state for step in again.steps} == {"Cached"}
    assert again.release == report.release
    assert len(emulator.writes()) == writes

    with pytest.raises(RunFailed, match="recall gain") as refused:
        run_retrain(with_section(params, gate={"min_recall_gain": 1.0}), Phase.PUBLISH)
    assert refused.value.exit_code == 3
    assert len(emulator.writes()) == writes
    assert on_hub(emulator, "main") == contents(folder)
