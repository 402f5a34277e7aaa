"""Stores that somebody or something has altered, filled, locked or set back in time: nothing of it is believed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployments.cli.pruning import prune
from tasks.base import store as stores
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError, StoreError, printable
from tasks.base.ledger import ledger, read_entries
from tasks.base.locks import at_work, hold, runs_at_work
from tasks.base.records import Verdict
from tasks.base.runs import StepRun, read_records
from tasks.base.steps import step
from tasks.base.store import Store

pytestmark = pytest.mark.slow

IDS = [f"{number:04d}" for number in range(200)]


@step("room/made", "1")
def made(run: StepRun, ids: list[str]) -> None:
    run.write(Verdict(id=name, reason="kept") for name in ids)
    run.path("nested/deep.txt").write_text("x" * 1000)


@step("room/next", "1")
def following(run: StepRun, verdicts: Artifact) -> None:
    run.write(run.read(verdicts, Verdict))


def chain(uri: str, marks: str, count: int) -> None:
    """A run of several steps, one resting on the other, noted in the ledger."""
    store = Store(uri)
    with ledger(store, "month") as book:
        before = made.direct(store, ids=IDS)
        for number in range(count):
            before = following.named(f"next{number}").direct(store, verdicts=before)
            book.add("spend", {"step": f"next{number}", "usd": 1})
    Path(marks).write_text(before.sha256)


@pytest.fixture
def remote(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "this-machine"))
    return Store(f"{s3_bucket}/{tmp_path.name}")


def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached and nothing was checked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"machine-{time.monotonic_ns()}"))
    stores._checked.clear()


def test_records_altered_at_equal_size_on_s3_are_refused_set_aside_and_made_again(
    remote: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = made.direct(remote, ids=IDS)
    path = remote.blob(artifact.sha256) / "records.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"kept", b"KEPT", 1))
    another_machine(tmp_path, monkeypatch)
    with pytest.raises(StoreError, match="wrong bytes"):
        list(read_records(remote, artifact, Verdict))
    with pytest.raises(StoreError):
        following.direct(remote, verdicts=artifact)
    assert made.direct(remote, ids=IDS) == artifact
    assert path.read_bytes() == content
    assert len(list(read_records(remote, artifact, Verdict))) == len(IDS)
    assert len(list((remote.root / "suspect").iterdir())) == 1


@pytest.mark.parametrize("name", ["../../../escaped", "..", "/escaped", "a/../../../escaped", "a\\..\\b", "a\0b"])
def test_keys_and_manifests_that_lead_out_of_an_artifact_write_nothing_elsewhere(
    remote: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import boto3

    artifact = made.direct(remote, ids=IDS)
    bucket, _, prefix = remote.root.path.partition("/")
    client = boto3.client("s3")
    planted = f"{prefix}/cas/{artifact.sha256}/{name}".replace("\0", "%00")
    client.put_object(Bucket=bucket, Key=planted, Body=b"owned")
    another_machine(tmp_path, monkeypatch)
    folder = remote.checkout(artifact)
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == ["nested/deep.txt", "records.jsonl"]
    (manifest,) = remote.manifests("room/made")
    path = remote.root / "steps" / "room/made" / manifest.key / "manifest.json"
    document = json.loads(path.read_text())
    document["files"][0]["path"] = name
    path.write_text(json.dumps(document))
    another_machine(tmp_path, monkeypatch)
    assert remote.manifest("room/made", manifest.key) is None
    with pytest.raises(StoreError):
        remote.checkout(artifact)
    assert not list(tmp_path.rglob("*escaped*"))


def test_copy_on_this_machine_that_was_damaged_is_fetched_again(
    remote: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = made.direct(remote, ids=IDS)
    another_machine(tmp_path, monkeypatch)
    for damage in (lambda path: path.write_bytes(b""), Path.unlink, lambda path: path.with_name("more").touch()):
        stores._checked.clear()
        damage(remote.checkout(artifact) / "records.jsonl")
        stores._checked.clear()
        assert len(list(read_records(remote, artifact, Verdict))) == len(IDS)
        assert not (remote.checkout(artifact) / "more").exists()


MANIFESTS: dict[str, Callable[[dict[str, object]], object]] = {
    "of another step": lambda document: document | {"step": "room/other"},
    "of another key": lambda document: document | {"key": "0" * 64},
    "of another blob": lambda document: document | {"sha256": "0" * 64},
    "without files": lambda document: document | {"files": []},
    "with a field more": lambda document: document | {"trusted": True},
    "no object": lambda document: [document],
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_manifest_that_is_not_of_its_key_counts_as_none(store: Store, kind: str) -> None:
    artifact = made.direct(store, ids=IDS)
    (path,) = Path(store.root.path).glob("steps/room/made/*/manifest.json")
    whole = path.read_bytes()
    path.write_text(json.dumps(MANIFESTS[kind](json.loads(whole))))
    assert store.manifest("room/made", path.parent.name) is None
    assert made.direct(store, ids=IDS) == artifact
    assert path.read_bytes() == whole


def test_file_that_somebody_added_to_a_blob_makes_it_a_wrong_one(store: Store) -> None:
    artifact = made.direct(store, ids=IDS)
    (Path(artifact.uri) / "pickled.bin").write_bytes(b"\x80\x04owned")
    assert made.direct(store, ids=IDS) == artifact
    assert not (Path(artifact.uri) / "pickled.bin").exists()


def test_fifty_kills_at_random_moments_lose_nothing_double_nothing_and_end_equal(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    chance = random.Random(24)
    chain(str(tmp_path / "undisturbed"), str(tmp_path / "expected"), 6)
    uri, marks = str(tmp_path / "store"), tmp_path / "done"
    kills = 0
    while kills < 50:
        process = context.Process(target=chain, args=(uri, str(marks), 6))
        process.start()
        process.join(chance.uniform(0.0, 0.12))
        if process.exitcode is None:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
            process.join()
        else:
            assert process.exitcode == 0
            shutil.rmtree(chance.choice(sorted(Path(uri, "steps", "room").iterdir())))  # something is to be done again
    chain(uri, str(marks), 6)
    assert marks.read_text() == (tmp_path / "expected").read_text()
    ours, theirs = Store(uri), Store(str(tmp_path / "undisturbed"))
    assert {one.name for one in Path(uri, "cas").iterdir()} == {one.name for one in Path(theirs.uri, "cas").iterdir()}
    assert ours.steps() == theirs.steps()
    assert not list(Path(uri, "tmp").iterdir())
    assert all(entry["usd"] == 1 for entry in read_entries(ours, "month"))
    assert runs_at_work(ours) == []


def _limited(uri: str, marks: str, size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails with EFBIG, as it does with ENOSPC on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    chain(uri, marks, 2)


@pytest.mark.parametrize("size", [0, 200, 900, 5_000])
def test_write_that_fails_in_the_middle_leaves_no_half_artifact(tmp_path: Path, size: int) -> None:
    uri = str(tmp_path / "store")
    process = multiprocessing.get_context("fork").Process(target=_limited, args=(uri, str(tmp_path / "done"), size))
    process.start()
    process.join(60)
    assert process.exitcode not in (0, None)
    store = Store(uri)
    for name in store.steps():
        assert all(store.is_whole(manifest) for manifest in store.manifests(name))
    chain(uri, str(tmp_path / "done"), 2)
    chain(str(tmp_path / "other"), str(tmp_path / "expected"), 2)
    assert (tmp_path / "done").read_text() == (tmp_path / "expected").read_text()


def test_store_that_cannot_be_written_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    for uri in (str(tmp_path / "store"), "/proc/rawtune"):  # a file; a file system in which even root writes nothing
        with pytest.raises(InputError, match="cannot be written"):
            Store(uri).check_writable()


def test_clock_that_goes_back_years_changes_no_hit_and_no_order_of_the_ledger(store: Store) -> None:
    artifact = made.direct(store, ids=IDS)
    with ledger(store, "month") as book:
        book.add("spend", {"usd": 1})
        for path in Path(store.root.path).rglob("*"):
            os.utime(path, (0, 0))
        book.add("spend", {"usd": 2})
    assert made.direct(store, ids=IDS) == artifact
    assert [entry["usd"] for entry in read_entries(store, "month", "spend")] == [1, 2]


def test_twelve_writers_race_for_one_key_on_s3_and_one_does_the_work(remote: Store, tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    counted.mkdir()

    @step("room/raced", "1")
    def raced(run: StepRun, folder: str) -> None:
        (Path(folder) / str(threading.get_ident())).touch()
        time.sleep(0.2)
        run.write([Verdict(id="a", reason="kept")])

    found: list[Artifact] = []
    writers = [
        threading.Thread(target=lambda: found.append(raced.direct(Store(remote.uri), folder=str(counted))))
        for _ in range(12)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert len(found) == 12
    assert len({artifact.sha256 for artifact in found}) == 1
    assert len(list(counted.iterdir())) == 1


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_prune_waits_for_the_month_that_is_at_work(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path / "store")) if kind == "local" else request.getfixturevalue("remote")
    artifact = made.direct(store, ids=IDS)
    with at_work(store, "month", lease_seconds=3):
        assert runs_at_work(store, 3) == ["month"]
        if kind == "local":
            with pytest.raises(InputError, match="month at work"):
                prune(store, 0)
    assert runs_at_work(store, 3) == []
    assert store.blob(artifact.sha256).exists()
    begun = threading.Event()
    with ExitStack() as pruning:
        pruning.enter_context(hold(store, "prune"))

        def begin() -> None:
            with at_work(store, "next"):
                begun.set()

        run = threading.Thread(target=begin)
        run.start()
        assert not begun.wait(1.5)  # no run begins while somebody prunes
    assert begun.wait(30)
    run.join(30)


def test_prune_leaves_the_folder_of_a_step_that_works_for_days(store: Store) -> None:
    def aged(name: str) -> Path:
        with store.scratch(name):
            pass
        folder = store.local("tmp") / name.replace("/", "--")
        folder.mkdir()
        (folder / "written-long-ago").write_bytes(b"x")
        for path in (folder, folder / "written-long-ago"):
            os.utime(path, (0, 0))
        return folder

    working, beside, dead = aged("room/made/key"), aged("room/made/key.work"), aged("room/dead/key")
    with hold(store, "room/made/key"):
        prune(store, 0)
    assert (working.exists(), beside.exists(), dead.exists()) == (True, True, False)


def test_errors_cannot_drive_a_terminal_or_turn_text_round() -> None:
    hostile = "file \x1b[2J\x1b]0;owned\x07 \u202egpj.exe \u2066x\u2069 \x9b31m \r done"
    told = str(StoreError(hostile))
    assert told == printable(hostile)
    assert all(letter.isprintable() for letter in told)
    assert "done" in told
