import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.artifacts import Artifact, BlobFile, tree_sha256
from tasks.base.errors import InputError, RecordError, StoreError
from tasks.base.records import Verdict
from tasks.base.runs import StepRun, read_json, read_records, read_verdicts
from tasks.base.steps import step
from tasks.base.store import Store


@step("room/made", "1")
def made(run: StepRun, ids: list[str]) -> None:
    run.write(Verdict(id=i, reason="kept") for i in ids)


@step("room/folder", "1")
def folder(run: StepRun, text: str) -> None:
    run.path("nested/deep.txt").write_text(text, "utf-8")


@step("room/quarantining", "1")
def quarantining(run: StepRun, good: int, bad: int) -> None:
    run.write(Verdict(id=f"{i:04d}", reason="kept") for i in range(good))
    for number in range(bad):
        run.quarantine(f"b{number:04d}", "unreadable", "it was")


def manifest_path(store: Store, artifact: Artifact) -> Path:
    (path,) = Path(store.root.path).glob(f"steps/{artifact.step}/*/manifest.json")
    return path


@pytest.fixture(params=["file", "memory", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(str(tmp_path / "store"))
    if request.param == "memory":
        return Store(f"memory://{tmp_path.name}")
    return Store(f"{request.getfixturevalue('s3_bucket')}/{tmp_path.name}")


def test_store_roundtrip_reads_back_what_was_written(any_store: Store):
    artifact = made.direct(any_store, ids=["a", "b"])
    assert artifact.counts == {"records": 2}
    assert [verdict.id for verdict in read_records(any_store, artifact, Verdict)] == ["a", "b"]
    assert (any_store.checkout(artifact) / "records.jsonl").read_text().count("\n") == 2
    assert made.direct(any_store, ids=["a", "b"]) == artifact
    assert [m.sha256 for m in any_store.manifests("room/made")] == [artifact.sha256]
    assert any_store.steps() == ["room/made"]


def test_store_equal_bytes_have_equal_hash_whatever_made_them(tmp_path: Path):
    first, second = Store(str(tmp_path / "one")), Store(str(tmp_path / "two"))
    assert folder.direct(first, text="x").sha256 == folder.direct(second, text="x").sha256
    assert folder.direct(first, text="x").sha256 != folder.direct(first, text="y").sha256


def test_store_nested_files_survive_a_checkout(any_store: Store):
    artifact = folder.direct(any_store, text="né\n")
    assert (any_store.checkout(artifact) / "nested/deep.txt").read_text("utf-8") == "né\n"


def test_store_corrupt_blob_is_set_aside_and_redone(store: Store):
    artifact = made.direct(store, ids=["a"])
    damaged = Path(artifact.uri) / "records.jsonl"
    damaged.write_text(damaged.read_text().replace("kept", "kepT"))
    assert made.direct(store, ids=["a"]) == artifact
    assert "kept" in damaged.read_text()
    assert len(list(Path(store.root.path).glob("suspect/*"))) == 1


def test_store_deleted_blob_or_manifest_is_redone(store: Store):
    artifact = made.direct(store, ids=["a"])
    (Path(artifact.uri) / "records.jsonl").unlink()
    assert made.direct(store, ids=["a"]) == artifact
    manifest_path(store, artifact).unlink()
    assert made.direct(store, ids=["a"]) == artifact
    assert manifest_path(store, artifact).exists()


def test_store_half_written_manifest_counts_as_none(store: Store):
    artifact = made.direct(store, ids=["a"])
    path = manifest_path(store, artifact)
    path.write_text(path.read_text()[:50])
    assert made.direct(store, ids=["a"]) == artifact
    assert json.loads(path.read_text())["sha256"] == artifact.sha256


def test_store_checkout_of_a_wrong_remote_blob_raises(s3_bucket: str, tmp_path: Path):
    remote = Store(f"{s3_bucket}/{tmp_path.name}")
    artifact = made.direct(remote, ids=["a"])
    (remote.blob(artifact.sha256) / "records.jsonl").write_text("x" * 10)
    with pytest.raises(StoreError, match="wrong bytes"):
        remote.checkout(artifact)


def test_store_that_cannot_be_written_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        Store(str(tmp_path / "file")).check_writable()


def test_write_unsorted_ids_raises(store: Store):
    with pytest.raises(RecordError, match="ids must ascend"):
        made.direct(store, ids=["b", "a"])
    with pytest.raises(RecordError, match="ids must ascend"):
        made.direct(store, ids=["a", "a"])


def test_quarantine_at_five_percent_passes_and_beyond_fails(store: Store):
    artifact = quarantining.direct(store, good=95, bad=5)
    assert artifact.counts == {"quarantined": 5, "records": 95, "verdict:unreadable": 5}
    assert [verdict.reason for verdict in read_verdicts(store, artifact)] == ["unreadable"] * 5
    with pytest.raises(RecordError, match="6 of 100 records cannot be used"):
        quarantining.direct(store, good=94, bad=6)


def test_read_line_that_is_no_record_raises(store: Store):
    artifact = folder.direct(store, text='{"id": 1}\n')
    with pytest.raises(StoreError, match=r"line 1 of nested/deep.txt is not a Verdict"):
        list(read_records(store, artifact, Verdict, "nested/deep.txt"))
    with pytest.raises(StoreError, match="missing"):
        read_json(store, artifact, "absent.json")


@given(st.dictionaries(st.text("abcé -", min_size=1), st.text(min_size=1), max_size=5))
def test_tree_hash_changes_with_any_path_or_content(files: dict[str, str]):
    blobs = tuple(BlobFile(path=path, sha256=sha, bytes=1) for path, sha in sorted(files.items()))
    extra = BlobFile(path="\uffff" * 3, sha256="0", bytes=1)
    assert tree_sha256(blobs) == tree_sha256(tuple(blobs))
    assert tree_sha256(blobs) != tree_sha256((*blobs, extra))
