"""The release folder, its card and the store's registry."""

import json
from pathlib import Path

import pytest

from tasks.base.artifacts import Artifact, describe
from tasks.base.errors import GateRefused, InputError, ReleaseError
from tasks.base.store import Store
from tasks.release.folder import check_publishable
from tasks.release.gate import gate
from tasks.release.measures import read_measures
from tasks.release.model_card import CardInput, model_card
from tasks.release.params import GateParams, ReleaseFacts, ReleaseParams
from tasks.release.publish import ensure_published, publish
from tasks.release.registry import needed_blobs, promote, prune, read_registry
from tasks.release.releases import list_releases, previous_release
from tasks.release.releases import rollback_release as rollback
from tests.release.conftest import FACTS, FAKE_TOKEN, SUMMARY, Adapter, Release, report_of

GOLDEN = Path(__file__).parent / "golden"
LOCAL = ReleaseParams()


def _later(date: str) -> ReleaseFacts:
    source = FACTS.sources[0].model_copy(update={"committed_at": date})
    return FACTS.model_copy(update={"sources": (source,)})


def test_publish_release_folder_has_hub_layout_and_no_path_of_the_machine(store: Store, made: Release) -> None:
    release = made(1)
    folder = store.checkout(release)
    names = {file.path for file in describe(folder)}
    assert names >= {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "generation_config.json",
        "manifest.json",
        "params.json",
        "report.html",
        "summary.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert release.counts["files"] == len(names)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation == {"do_sample": False, "bos_token_id": 0, "pad_token_id": 2, "eos_token_id": [0, 2]}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["revision"] == f"snapshot/2023-12-31-{manifest['adapter'][:8]}"
    for path in folder.iterdir():
        assert str(store.root).encode() not in path.read_bytes(), path.name


def test_publish_refused_by_the_gate_raises(
    store: Store, adapter: Adapter, base_files: Artifact, report: Artifact, table: Artifact
) -> None:
    refused = gate.direct(store, report, GateParams(min_recall_gain=0.9))
    with pytest.raises(GateRefused, match="recall gain"):
        publish.direct(store, adapter(1), base_files, report, refused, table, LOCAL, FACTS)


def test_folder_with_a_pickle_is_not_publishable(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"pytorch_model\.bin"):
        check_publishable(tmp_path)


def test_publish_report_with_a_secret_is_stopped_without_showing_it(
    store: Store, adapter: Adapter, base_files: Artifact, table: Artifact
) -> None:
    report = report_of(store, SUMMARY | {"verdict": f"It says {FAKE_TOKEN}."})
    decision = gate.direct(store, report, GateParams())
    with pytest.raises(ReleaseError, match=r"summary\.json would publish a secret \(github-pat\)") as caught:
        publish.direct(store, adapter(1), base_files, report, decision, table, LOCAL, FACTS)
    assert FAKE_TOKEN not in str(caught.value)


def test_model_card_of_a_run_matches_the_golden_file() -> None:
    card = CardInput(
        revision="snapshot/2023-12-31-0a1b2c3d",
        repo_id="octocat/hello-lora",
        rank=4,
        tokens=16000,
        dataset="octocat/hello-data",
        lineage={"training/train": "a" * 64, "model/base": "b" * 64},
    )
    assert model_card(FACTS, read_measures(SUMMARY), card) == (GOLDEN / "README.md").read_text("utf-8")


def test_model_card_says_how_to_load_what_there_is() -> None:
    card = CardInput(revision="snapshot/2023-12-31-0a1b2c3d", repo_id="o/r", rank=768, tokens=1, lineage={})
    merged = card.model_copy(update={"merged": True})
    whole = merged.model_copy(update={"gguf": ("hello-Q8_0.gguf",)})
    bare, with_weights, with_gguf = (model_card(FACTS, read_measures(SUMMARY), one) for one in (card, merged, whole))
    assert "vLLM serves adapters up to rank 512; this one has rank 768: merge it first." in bare
    assert "Ollama: merge the adapter first" in bare
    assert "`vllm serve ./merged`" in with_weights
    assert "Ollama: a Modelfile with `FROM ./merged`, then `ollama create hello -f Modelfile`." in with_weights
    assert "Ollama: a Modelfile with `FROM ./hello-Q8_0.gguf`" in with_gguf


@pytest.mark.parametrize(("policy", "said"), [("nothing", 0), ("raw", 1), ("all", 1)])
def test_model_card_says_when_held_out_documents_were_trained_on(policy: str, said: int) -> None:
    facts = FACTS.model_copy(update={"params": {"dataset": {"mixture": {"train_held_out": policy}}}})
    card = CardInput(revision="snapshot/2023-12-31-0a1b2c3d", repo_id=None, rank=4, tokens=16000, lineage={})
    assert model_card(facts, read_measures(SUMMARY), card).count("scores on them are no proof") == said


def test_model_card_metadata_is_what_the_hub_reads() -> None:
    from huggingface_hub import ModelCard

    data = ModelCard.load(GOLDEN / "README.md").data.to_dict()
    assert data["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "peft"
    results = data["model-index"][0]["results"]
    measured = {metric["name"]: metric["value"] for result in results for metric in result["metrics"]}
    assert measured == {"recall (closed book)": 0.61, "general ability (closed book)": 0.33}


def test_registry_same_adapter_again_publishes_nothing(store: Store, made: Release) -> None:
    first = ensure_published(store, made(1), LOCAL, FACTS)
    facts = _later("2024-01-31T00:00:00Z")
    again = ensure_published(store, made(1, facts), LOCAL, facts)
    assert (first.new, again.new) == (True, False)
    assert again == first.model_copy(update={"new": False})
    assert len(read_registry(store, "hello").revisions) == 1


def test_registry_latest_link_leads_to_the_release(store: Store, made: Release) -> None:
    release = made(1)
    ensure_published(store, release, LOCAL, FACTS)
    latest = Path(store.root.path) / "releases" / "hello" / "latest"
    assert latest.resolve() == Path(release.uri).resolve()


def test_rollback_twice_goes_back_twice_and_files_are_the_old_ones(store: Store, made: Release) -> None:
    releases = [made(seed) for seed in (1, 2, 3)]
    before = [describe(store.checkout(release)) for release in releases]
    for release in releases:
        ensure_published(store, release, LOCAL, FACTS)
    latest = Path(store.root.path) / "releases" / "hello" / "latest"
    for earlier in (1, 0):
        assert rollback(store, "hello").artifact == releases[earlier]
        assert describe(latest.resolve()) == before[earlier]
    with pytest.raises(InputError, match="no release before"):
        rollback(store, "hello")


def test_rollback_is_not_undone_by_running_again(store: Store, made: Release) -> None:
    releases = [made(seed) for seed in (1, 2)]
    for release in releases:
        ensure_published(store, release, LOCAL, FACTS)
    rollback(store, "hello")
    assert not ensure_published(store, releases[1], LOCAL, FACTS).new
    assert read_registry(store, "hello").latest.artifact == releases[0]  # type: ignore[union-attr]


def test_registry_compares_with_the_last_promoted_release_whose_adapter_differs(store: Store, made: Release) -> None:
    for seed in (1, 2):
        ensure_published(store, made(seed), LOCAL, FACTS)
    first, second = read_registry(store, "hello").revisions
    registry = read_registry(store, "hello")
    assert registry.previous(second.adapter) == first
    assert registry.previous(first.adapter) == second
    assert registry.previous("another") == second
    rollback(store, "hello")
    assert read_registry(store, "hello").previous("another") == first


def test_promote_unknown_or_vanished_release_is_refused(store: Store, made: Release) -> None:
    releases = [made(seed) for seed in (1, 2)]
    for release in releases:
        ensure_published(store, release, LOCAL, FACTS)
    with pytest.raises(InputError, match="no release 'snapshot/2020"):
        promote(store, "hello", "snapshot/2020-01-01-00000000")
    store.set_aside(releases[0].sha256)
    with pytest.raises(InputError, match="no longer in"):
        rollback(store, "hello")
    assert read_registry(store, "hello").latest.artifact == releases[1]  # type: ignore[union-attr]


def test_prune_keeps_the_latest_and_what_it_was_made_from(store: Store, made: Release, adapter: Adapter) -> None:
    releases = [made(seed) for seed in (1, 2, 3)]
    for release in releases:
        ensure_published(store, release, LOCAL, FACTS)
    promote(store, "hello", read_registry(store, "hello").revisions[0].revision)
    gone = prune(store, "hello", keep=1)
    assert [known.artifact for known in gone] == [releases[1]]
    needed = needed_blobs(store)
    assert {releases[0].sha256, releases[2].sha256, adapter(1).sha256} <= needed
    assert releases[1].sha256 not in needed
    assert adapter(2).sha256 not in needed


def test_previous_release_is_the_last_with_another_adapter_and_stays_so_when_run_again(
    store: Store, made: Release, adapter: Adapter
) -> None:
    assert previous_release(store, adapter(1), FACTS) is None
    first = made(1)
    ensure_published(store, first, LOCAL, FACTS)
    assert previous_release(store, adapter(1), FACTS) is None
    assert previous_release(store, adapter(2), FACTS) == first
    ensure_published(store, made(2), LOCAL, FACTS)
    assert previous_release(store, adapter(2), FACTS) == first


def test_list_releases_shows_each_with_its_recall_and_the_latest(store: Store, made: Release) -> None:
    for seed in (1, 2):
        ensure_published(store, made(seed), LOCAL, FACTS)
    listed = list_releases(store, "hello")
    assert [(one.latest, one.recall) for one in listed] == [(False, 0.61), (True, 0.61)]
