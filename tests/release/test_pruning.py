"""`rawtune prune` beside the releases: what a kept one needs stays, what a forgotten one needed goes."""

import os
from pathlib import Path

import pytest

from deployments.cli.pruning import prune
from tasks.base.artifacts import describe
from tasks.base.store import Store
from tasks.release.lineage import base_of
from tasks.release.params import ReleaseParams
from tasks.release.publish import ensure_published
from tasks.release.registry import needed_blobs, read_registry
from tasks.release.releases import prune_releases, resolve_release, rollback_release
from tests.emulators.hub_api import HubEmulator
from tests.release.conftest import FACTS, REPO, Adapter, Release, contents, on_hub

OLD = 100 * 86_400


def age(store: Store) -> None:
    """Makes everything in the store older than any prune keeps for its age."""
    for path in Path(store.root.path).rglob("*"):
        moment = path.lstat().st_mtime - OLD
        os.utime(path, (moment, moment), follow_symlinks=False)


@pytest.mark.parametrize("repo_id", [None, REPO])
def test_prune_keeps_what_the_kept_releases_need_and_rollback_works_after_it(
    store: Store, made: Release, adapter: Adapter, emulator: HubEmulator, repo_id: str | None
) -> None:
    releases = [made(seed) for seed in (1, 2, 3)]
    before = [describe(store.checkout(release)) for release in releases]
    adapters = [adapter(seed).sha256 for seed in (1, 2, 3)]
    for release in releases:
        ensure_published(store, release, ReleaseParams(repo_id=repo_id), FACTS)
    unneeded = adapter(9).sha256
    age(store)
    prune(store, 30)
    assert not store.blob(unneeded).exists()
    assert [store.blob(one).exists() for one in adapters] == [True] * 3

    prune_releases(store, "hello", keep=2)
    prune(store, 30)
    assert [store.blob(one).exists() for one in adapters] == [False, True, True]
    assert not store.blob(releases[0].sha256).exists()
    needed = needed_blobs(store)
    assert {releases[1].sha256, releases[2].sha256, *adapters[1:]} <= needed
    assert [one for one in needed if not store.blob(one).exists()] == []

    assert rollback_release(store, "hello").artifact == releases[1]
    assert describe(store.checkout(releases[1])) == before[1]
    if repo_id is not None:
        assert on_hub(emulator, "main") == contents(store.checkout(releases[1]))


def test_prune_keeps_a_release_that_came_from_the_hub_with_its_base_model(
    store: Store, made_whole: Release, emulator: HubEmulator, tmp_path: Path
) -> None:
    params = ReleaseParams(repo_id=REPO)
    ensure_published(store, made_whole(1), params, FACTS)
    elsewhere = Store(str(tmp_path / "elsewhere"))
    resolve_release(elsewhere, "hello", params)
    latest = read_registry(elsewhere, "hello").latest
    assert latest is not None
    before = describe(elsewhere.checkout(latest.artifact))
    age(elsewhere)
    prune(elsewhere, 30)
    assert describe(elsewhere.checkout(latest.artifact)) == before
    base = base_of(store, latest.artifact)
    age(store)
    prune(store, 30)
    assert store.blob(base.sha256).exists()
