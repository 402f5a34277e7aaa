"""Releases in the store and on the Hub together: published once, rolled back everywhere, known on a new machine."""

import pytest

from tasks.base.artifacts import Artifact, describe
from tasks.base.errors import InputError, ReleaseError
from tasks.base.store import Store
from tasks.release.dataset import dataset, ensure_dataset_published
from tasks.release.params import ReleaseParams
from tasks.release.publish import ensure_published
from tasks.release.registry import read_registry
from tasks.release.releases import (
    import_release,
    list_releases,
    promote_release,
    prune_releases,
    resolve_release,
    rollback_release,
)
from tests.emulators.hub_api import Fault, HubEmulator
from tests.release.conftest import FACTS, REPO, Release, contents, files, on_hub

HUB = ReleaseParams(repo_id=REPO)


def publish_all(store: Store, made: Release, *seeds: int) -> list[Artifact]:
    """Publishes the releases of these adapters one after the other."""
    releases = [made(seed) for seed in seeds]
    for release in releases:
        ensure_published(store, release, HUB, FACTS)
    return releases


def test_publish_to_the_hub_again_makes_no_request(store: Store, made: Release, emulator: HubEmulator) -> None:
    release = made(1)
    first = ensure_published(store, release, HUB, FACTS)
    assert first.new
    assert first.location == f"{emulator.url}/{REPO}/tree/{first.revision}"
    assert on_hub(emulator, "main") == contents(store.checkout(release))
    before = len(emulator.requests)
    assert not ensure_published(store, release, HUB, FACTS).new
    assert len(emulator.requests) == before


def test_publish_after_a_failed_push_continues(store: Store, made: Release, emulator: HubEmulator) -> None:
    release = made(1)
    fault = emulator.plant(Fault("status", "POST", "/commit/main", status=500, times=100))
    with pytest.raises(ReleaseError, match="500"):
        ensure_published(store, release, HUB, FACTS)
    assert read_registry(store, "hello").latest is None
    fault.times = 0
    uploads = sum(method == "PUT" for method, _ in emulator.requests)
    assert ensure_published(store, release, HUB, FACTS).new
    assert sum(method == "PUT" for method, _ in emulator.requests) == uploads


def test_publish_what_was_in_the_store_only_adds_the_hub(store: Store, made: Release, emulator: HubEmulator) -> None:
    release = made(1)
    ensure_published(store, release, ReleaseParams(), FACTS)
    ensure_published(store, release, HUB, FACTS)
    latest = read_registry(store, "hello").latest
    assert latest is not None
    assert latest.repo_id == REPO
    assert on_hub(emulator, "main") == contents(store.checkout(release))
    assert len(read_registry(store, "hello").promotions) == 1


def test_rollback_restores_hub_and_store_byte_for_byte(store: Store, made: Release, emulator: HubEmulator) -> None:
    releases = publish_all(store, made, 1, 2)
    assert rollback_release(store, "hello").artifact == releases[0]
    assert on_hub(emulator, "main") == contents(store.checkout(releases[0]))
    assert not ensure_published(store, releases[1], HUB, FACTS).new
    assert on_hub(emulator, "main") == contents(store.checkout(releases[0]))
    promote_release(store, "hello", read_registry(store, "hello").revisions[1].revision)
    assert on_hub(emulator, "main") == contents(store.checkout(releases[1]))


def test_rollback_with_the_hub_down_changes_nothing(store: Store, made: Release, emulator: HubEmulator) -> None:
    releases = publish_all(store, made, 1, 2)
    emulator.plant(Fault("status", "POST", "/commit/", status=503, times=100))
    with pytest.raises(ReleaseError, match="503"):
        rollback_release(store, "hello")
    latest = read_registry(store, "hello").latest
    assert latest is not None
    assert latest.artifact == releases[1]
    assert on_hub(emulator, "main") == contents(store.checkout(releases[1]))


def test_rollback_at_another_endpoint_is_refused(
    store: Store, made: Release, emulator: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_all(store, made, 1, 2)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(InputError, match="set HF_ENDPOINT"):
        rollback_release(store, "hello")


def test_resolve_on_a_new_machine_takes_over_the_latest(
    store: Store, made: Release, emulator: HubEmulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    releases = publish_all(store, made, 1, 2)
    rollback_release(store, "hello")
    fresh = Store(str(tmp_path_factory.mktemp("fresh")))
    access = resolve_release(fresh, "hello", HUB)
    assert access is not None
    assert access.exists
    latest = read_registry(fresh, "hello").latest
    assert latest is not None
    assert latest.artifact.sha256 == releases[0].sha256
    assert describe(fresh.checkout(latest.artifact)) == describe(store.checkout(releases[0]))


def test_resolve_follows_a_rollback_made_elsewhere(
    store: Store, made: Release, emulator: HubEmulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    publish_all(store, made, 1)
    elsewhere = Store(str(tmp_path_factory.mktemp("elsewhere")))
    resolve_release(elsewhere, "hello", HUB)
    publish_all(store, made, 2)
    resolve_release(elsewhere, "hello", HUB)
    promote_release(elsewhere, "hello", read_registry(elsewhere, "hello").revisions[0].revision)
    resolve_release(store, "hello", HUB)
    assert [one.latest for one in list_releases(store, "hello")] == [True, False]


def test_resolve_repository_that_is_no_release_is_left_alone(store: Store, emulator: HubEmulator) -> None:
    repository = emulator.hub.create("models", REPO, private=True)
    resolve_release(store, "hello", HUB)
    assert read_registry(store, "hello").latest is None
    with pytest.raises(ReleaseError, match="not a release"):
        import_release.direct(store, REPO, repository.branches["main"])


def test_prune_deletes_branches_of_forgotten_releases_only(store: Store, made: Release, emulator: HubEmulator) -> None:
    publish_all(store, made, 1, 2, 3)
    names = [one.revision for one in read_registry(store, "hello").revisions]
    prune_releases(store, "hello", keep=2)
    assert set(emulator.hub.repositories["models", REPO].branches) == {"main", *names[1:]}


def test_dataset_is_published_privately_and_once(store: Store, emulator: HubEmulator) -> None:
    texts = {"table.parquet": "PAR1", "records.jsonl": "{}\n"}
    table = files.direct(store, texts=texts, adapter_seed=None)
    made = dataset.direct(store, table, table, FACTS)
    location = ensure_dataset_published(store, made, "octocat/hello-data")
    assert location.startswith(f"{emulator.url}/datasets/octocat/hello-data/tree/snapshot/2023-12-31-")
    repository = emulator.hub.repositories["datasets", "octocat/hello-data"]
    assert repository.private
    held = {name: file.data for name, file in repository.at("main").files.items() if name != ".gitattributes"}
    assert held == contents(store.checkout(made))
    before = len(emulator.writes())
    ensure_dataset_published(store, made, "octocat/hello-data")
    assert len(emulator.writes()) == before


def test_dataset_of_an_earlier_run_does_not_replace_a_later_one(store: Store, emulator: HubEmulator) -> None:
    tables = [
        files.direct(store, texts={"table.parquet": f"PAR{number}", "records.jsonl": "{}\n"}, adapter_seed=None)
        for number in (1, 2)
    ]
    made = [dataset.direct(store, table, table, FACTS) for table in tables]
    for one in [*made, made[0]]:
        ensure_dataset_published(store, one, "octocat/hello-data")
    held = emulator.hub.repositories["datasets", "octocat/hello-data"].at("main").files
    assert held["train.parquet"].data == b"PAR2"


def test_emulator_keeps_tags_and_branches_by_the_real_client(emulator: HubEmulator) -> None:
    from huggingface_hub import HfApi

    repository = emulator.hub.create("models", REPO, private=True)
    api = HfApi(endpoint=emulator.url, token="write")
    api.create_tag(REPO, tag="v1", revision="main")
    api.create_branch(REPO, branch="snapshot/one")
    refs = api.list_repo_refs(REPO)
    assert [tag.name for tag in refs.tags] == ["v1"]
    assert sorted(branch.name for branch in refs.branches) == ["main", "snapshot/one"]
    assert api.repo_info(REPO, revision="v1").sha == repository.branches["main"]
    api.delete_tag(REPO, tag="v1")
    api.delete_branch(REPO, branch="snapshot/one")
    assert api.list_repo_refs(REPO).tags == []
    assert api.whoami()["name"] == "octocat"
