"""What pruning frees, and what it must never touch."""

import json
import os
import time
from pathlib import Path

import pytest

from deployments.cli.pruning import prune
from tasks.base.artifacts import Artifact
from tasks.base.records import Verdict
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.registry import Revision, record

OLD = 100 * 86_400


@step("tests/make", "1")
def make(run: StepRun, text: str) -> None:
    run.write([Verdict(id=text, reason="made", detail="")])


@step("release/publish", "1")
def release(run: StepRun, adapter: Artifact) -> None:
    run.path("manifest.json").write_text(json.dumps({"made_from": {adapter.step: adapter.sha256}}))


@step("synthesis/corrections", "1")
def correct(run: StepRun, dialogues: Artifact) -> None:
    run.write([Verdict(id="a", reason="by hand", detail="")])


def age(store: Store, seconds: float) -> None:
    """Makes everything in the store that much older."""
    for path in Path(store.root.path).rglob("*"):
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def exists(store: Store, artifact: Artifact) -> bool:
    return store.blob(artifact.sha256).exists() and store.manifest(artifact.step, "") is None


def test_prune_keeps_releases_with_all_they_rest_on_and_recent_work(store: Store):
    under_release, old = make.direct(store, text="trained"), make.direct(store, text="forgotten")
    card = release.direct(store, adapter=under_release)
    known = Revision(revision="snapshot/2024-01-31-00000000", artifact=card, adapter="0" * 64, base_model="stub")
    record(store, "post", known)
    cached = store.local("cache", "mirrors") / "pack"
    cached.write_bytes(b"x" * 1000)
    age(store, OLD)
    recent = make.direct(store, text="new")
    dry = prune(store, 90, dry=True)
    assert exists(store, old)
    assert prune(store, 90) == dry
    assert (dry.manifests, dry.blobs, dry.cache_files) == (1, 1, 1)
    assert dry.bytes > 1000
    assert [exists(store, one) for one in (under_release, card, recent, old)] == [True, True, True, False]
    assert not cached.exists()
    assert make.direct(store, text="forgotten").sha256 == old.sha256
    assert prune(store, 90).bytes == 0


def test_prune_keeps_corrections_but_not_what_they_were_made_of(store: Store):
    dialogues = make.direct(store, text="dialogues")
    corrections = correct.direct(store, dialogues=dialogues)
    age(store, OLD)
    prune(store, 90)
    assert [exists(store, one) for one in (dialogues, corrections)] == [False, True]
    assert next(store.manifests("synthesis/corrections")).sha256 == corrections.sha256


def test_prune_takes_a_mirror_as_a_whole_or_not_at_all(store: Store):
    for name in ("old.git", "used.git"):
        objects = store.local("cache", "mirrors", name, "objects", "pack")
        (objects / "one.pack").write_bytes(b"x")
        (objects.parent.parent / "HEAD").write_text("ref: refs/heads/main\n")
    age(store, OLD)
    (store.local("cache", "mirrors", "used.git", "objects", "pack") / "two.pack").write_bytes(b"y")
    assert prune(store, 90).cache_files == 1
    mirrors = store.local("cache", "mirrors")
    assert sorted(path.name for path in mirrors.iterdir()) == ["used.git"]
    assert len([path for path in mirrors.rglob("*") if path.is_file()]) == 3


def test_prune_leaves_a_blob_whose_manifest_is_about_to_come(store: Store):
    blob = Path(store.blob("ab" * 32).path)
    blob.mkdir(parents=True)
    (blob / "records.jsonl").write_text("{}")
    assert prune(store, 0).blobs == 0
    os.utime(blob / "records.jsonl", (time.time() - 90_000,) * 2)
    assert prune(store, 0).blobs == 1


@pytest.mark.slow
def test_prune_of_a_remote_store_frees_by_the_objects_dates(s3_bucket: str):
    store = Store(f"{s3_bucket}/prune")
    make.direct(store, text="made")
    assert prune(store, 1).manifests == 0
    assert prune(store, 0).manifests == 1
    assert store.steps() == [] or not list(store.manifests("tests/make"))
