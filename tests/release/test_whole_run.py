"""The whole workflow against an emulated Hub: refused at the door, published once, not published again, refused."""

import json
import re
import shutil
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter

from deployments.cli.running import RunFailed, run_retrain
from flows.params import Phase, RetrainParams
from tasks.base.errors import InputError
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tasks.model.child import run_child
from tasks.release import hub
from tests.emulators.hub_api import HubEmulator
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import git, make_repository
from tests.release.conftest import REPO, contents, on_hub, online, write_adapter


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
@pytest.mark.timeout(1500)
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

    said = run_child(  # by transformers and PEFT, from the Hub
        "tests.release.reload_job:answers",
        {
            "repo_id": REPO,
            "revision": report.release.partition("/tree/")[2],
            "adapter": str(folder_of(report, "training/train")),
            "model": str(tiny_model),
            "questions": ["What is this?", "Where is it?", "Who made it?"],
        },
        environment=online(emulator, tmp_path / "elsewhere"),
    )
    assert said["loaded_from"] == REPO
    assert said["released"] == said["trained"]
    assert all(said["released"])

    writes = len(emulator.writes())
    again = run_retrain(params, Phase.PUBLISH)
    assert {step.state for step in again.steps} == {"Cached"}
    assert again.release == report.release
    assert len(emulator.writes()) == writes

    with pytest.raises(RunFailed, match="recall gain"):
        run_retrain(too_strict, Phase.PUBLISH)
    assert len(emulator.writes()) == writes
    assert on_hub(emulator, "main") == contents(folder)


def released_by_somebody_else(folder: Path, target: Path) -> str:
    """Makes of a release one of another adapter that answered every recall question, and gives its name."""
    shutil.copytree(folder, target)
    write_adapter(target, seed=7)
    rows = [json.loads(line) for line in (target / "scores.jsonl").read_text("utf-8").splitlines()]
    better = [row | {"score": 1.0} if row["suite"] == "recall" else row for row in rows]
    (target / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in better), "utf-8")
    manifest = json.loads((target / "manifest.json").read_text("utf-8"))
    adapter = "7" * 64
    revision = f"{manifest['revision'][:-8]}{adapter[:8]}"
    (target / "manifest.json").write_text(json.dumps(manifest | {"adapter": adapter, "revision": revision}), "utf-8")
    return revision


NAMES = ("Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Heron", "Inlet", "Jetty", "Kelp", "Larch")


def with_depots(repository: Path) -> Path:
    """Adds a module for each of twelve depots, so that recall has enough questions of enough documents to conclude."""
    for number, name in enumerate(NAMES, 3):
        low = name.lower()
        (repository / f"depot_{low}.py").write_text(
            f'''"""Opening hours and limits of the {low} depot."""

{low.upper()}_LIMIT = {number * 17}


class {name}Error(ValueError):
    """A parcel that the {low} depot does not take."""


def accept_{low}(weight, shelves={number}, zone="{low}-{number}"):
    """Finds a shelf of the {low} depot for a parcel."""
    if weight > {low.upper()}_LIMIT:
        raise {name}Error("{low} takes at most {number * 17} kilograms")
    return (weight * shelves, zone)
''',
            "utf-8",
        )
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "Twelve depots")
    return repository


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_worse_adapter_is_refused_and_the_hub_keeps_what_it_has(
    prefect_harness: None, tiny_model: Path, emulator: HubEmulator, tmp_path: Path
) -> None:
    params = with_section(
        tiny_params(with_depots(make_repository(tmp_path / "post")), tiny_model, tmp_path / "store"),
        release={"repo_id": REPO},
        evaluation={"arms": ["base", "tuned"], "items": 100},  # fewer would prove nothing about the released model
    )
    good = run_retrain(params, Phase.PUBLISH)

    def refused(params: RetrainParams, reason: str) -> RunReport:
        """Runs what the gate is to refuse, and looks wherever the reason has to be."""
        with pytest.raises(RunFailed, match=reason) as caught:
            run_retrain(params, Phase.PUBLISH)
        report = caught.value.report
        assert (caught.value.exit_code, report.decision, report.release) == (3, "refuse", None)
        assert re.search(reason, "; ".join(report.resolved["refused"]))
        states = {step.step: step.state for step in report.steps}
        assert states["release/publish"] == "Skipped"
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(report.run)).state
            of_run = FlowRunFilter.model_validate({"id": {"any_": [report.run]}})
            gate = ArtifactFilter.model_validate({"key": {"any_": ["release-gate"]}})
            (shown,) = client.read_artifacts(artifact_filter=gate, flow_run_filter=of_run)
        assert state is not None
        assert (state.type.value, state.name) == ("FAILED", "Refused")
        assert re.search(reason, state.message or "")
        assert re.search(reason, str(shown.data))
        assert str(report.report) in str(shown.data)
        return report

    better = tmp_path / "better"
    hub.push(better, REPO, released_by_somebody_else(folder_of(good, "release/publish"), better), private=True)
    released, writes = on_hub(emulator, "main"), len(emulator.writes())
    reason = r"recall against the released model: -[0-9.]+ \[.*\], not below -0\.00"
    fallen_behind = refused(params, reason)
    assert {step.step: step.state for step in fallen_behind.steps}["training/train"] == "Cached"
    assert (on_hub(emulator, "main"), len(emulator.writes())) == (released, writes)
    tolerant = run_retrain(with_section(params, gate={"max_regression": 1.0}), Phase.PUBLISH)
    assert tolerant.decision == "allow"
    assert on_hub(emulator, "main") == released  # released before; a run does not undo what somebody promoted

    # The tiny model is too random to be made worse; the stub knows something that an absurd learning rate destroys. Of
    # more steps than one the second would be seen to diverge, and the training would end before any gate.
    absurd = with_section(
        params,
        training={
            "base_model": "stub",
            "learning_rate": 1.0,
            "warmup_fraction": 0.0,
            "batch_size": 64,
            "max_general_loss": None,
        },
        dataset={"train_tokens": 2000},
        evaluation={"items": 8, "general_items": 4},
    )
    ruined = refused(absurd, r"held-out answer loss against the base model: \+[1-9]")
    assert {step.step: step.state for step in ruined.steps}["training/train"] == "Completed"
    assert (on_hub(emulator, "main"), len(emulator.writes())) == (released, writes)
