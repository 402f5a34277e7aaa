import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tasks.base import locks
from tasks.base.locks import hold
from tasks.base.progress import Event, inside, listening
from tasks.base.records import Verdict
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store


@step("room/slow", "1")
def slow(run: StepRun, marks: str) -> None:
    with (Path(marks) / f"{os.getpid()}-{threading.get_ident()}").open("a") as writer:
        writer.write("ran\n")
    time.sleep(0.5)
    run.write([Verdict(id="a", reason="kept")])


def _run_slow(store: str, marks: str) -> None:
    slow.direct(Store(store), marks=marks)


def _hold_forever(store: str, started: str) -> None:
    with hold(Store(store), "key/with/slashes"):
        Path(started).touch()
        time.sleep(600)


def _await(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def test_step_two_processes_at_once_do_it_once(tmp_path: Path):
    marks = tmp_path / "marks"
    marks.mkdir()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_run_slow, args=(str(tmp_path / "store"), str(marks))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(marks.iterdir())) == 1


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_step_two_threads_at_once_do_it_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest):
    marks = tmp_path / "marks"
    marks.mkdir()
    root = (
        f"memory://{tmp_path.name}" if kind == "memory" else f"{request.getfixturevalue('s3_bucket')}/{tmp_path.name}"
    )
    threads = [threading.Thread(target=_run_slow, args=(root, str(marks))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(list(marks.iterdir())) == 1


def test_lock_of_a_killed_process_is_free(tmp_path: Path):
    started = tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(
        target=_hold_forever, args=(str(tmp_path / "store"), str(started))
    )
    process.start()
    _await(started)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    with hold(Store(str(tmp_path / "store")), "key/with/slashes"):
        pass


def test_lease_without_heartbeat_is_taken_over_once_it_was_seen_unchanged_for_long(s3_bucket: str, tmp_path: Path):
    store = Store(f"{s3_bucket}/{tmp_path.name}")
    path = store.root / "locks" / "key.json"
    assert locks._Contender(path, "a machine that died", 60).acquire() is not None
    began = time.monotonic()
    with hold(store, "key", lease_seconds=1.0):
        assert 1 < time.monotonic() - began < 10
        assert locks._holder(path) != "a machine that died"
    assert not path.exists()


def test_lease_with_a_heartbeat_is_not_taken_over_however_clocks_are_set(s3_bucket: str, tmp_path: Path):
    store = Store(f"{s3_bucket}/{tmp_path.name}")
    path = store.root / "locks" / "key.json"
    impatient = locks._Contender(path, "impatient", 2.0)
    with hold(store, "key", lease_seconds=2.0):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            assert impatient.acquire() is None
            time.sleep(0.1)
    assert impatient.acquire() is not None


def test_whoever_waits_for_a_lock_is_told_who_holds_it(tmp_path: Path):
    started = tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(
        target=_hold_forever, args=(str(tmp_path / "store"), str(started))
    )
    process.start()
    _await(started)
    told: list[Event] = []

    def end_it(event: Event) -> None:
        told.append(event)
        process.kill()

    with inside("room/waiting"), listening(end_it), hold(Store(str(tmp_path / "store")), "key/with/slashes"):
        process.join(10)

    assert [(event.step, event.kind) for event in told] == [("room/waiting", "notice")]
    assert told[0].text.startswith(f"waits for process {process.pid} on ")
