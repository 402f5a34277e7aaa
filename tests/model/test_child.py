import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.base.errors import ChildError, InputError
from tasks.base.progress import Event, inside, listening
from tasks.model.child import ROOT, OutOfMemory, _environment, run_child, staying


def run(job: str, **request: object) -> dict:
    return run_child(f"tests.model.jobs:{job}", request, exclusive=False)


def test_child_answers_json_reports_progress_and_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "do not tell")
    events: list[dict] = []

    answer = run_child("tests.model.jobs:echo", {"text": "ä\n"}, events.append, exclusive=False)

    assert answer == {"text": "ä\n", "secret": None, "torch": False}
    assert events == [{"done": 1}]


PLANTED = (
    "DATABASE_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_AUTH_STRING", "PREFECT_API_KEY",
    "PREFECT_CLIENT_CUSTOM_HEADERS", "GITHUB_PAT", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_PAT", "PGPASSWORD", "PGPASSFILE",
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "JUDGE_API_KEY", "LAMBDA_API_KEY", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "RAWTUNE_API_KEY", "RAWTUNE_WEBHOOK_URL",
    "SLACK_WEBHOOK", "SENTRY_DSN", "VLLM_API_KEY", "REDIS_URL",
)  # fmt: skip


def test_child_gets_nothing_that_it_has_no_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLANTED:
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    given = _environment({"MASTER_PORT": "1"})
    assert [name for name, value in given.items() if value == "planted"] == []
    assert (given["CUDA_VISIBLE_DEVICES"], given["MASTER_PORT"]) == ("0", "1")
    assert given["PATH"] == os.environ["PATH"]


def test_child_own_error_arrives_as_what_it_is() -> None:
    with pytest.raises(InputError) as caught:
        run("fail", how="input")

    assert str(caught.value) == "base_model: x is wrong; choose another"


def test_child_out_of_memory_is_told_from_other_failures() -> None:
    with pytest.raises(OutOfMemory, match=r"ran out of memory .*; use a smaller model, rank or row"):
        run("fail", how="memory")


def test_child_full_disk_is_one_clear_line() -> None:
    with pytest.raises(ChildError, match=r"the disk is full .*; free some space and run again"):
        run("fail", how="disk")


def test_child_other_error_is_one_line_with_the_end_of_stderr_as_a_note() -> None:
    with pytest.raises(ChildError) as caught:
        run("fail", how="other")

    assert str(caught.value) == "tests.model.jobs:fail failed: ValueError: first line"
    assert "last words" in caught.value.__notes__[0]


def test_child_that_ends_without_an_answer_is_an_error() -> None:
    with pytest.raises(ChildError, match="ended without an answer"):
        run("vanish")


def test_child_that_stays_holds_one_thing_from_job_to_job() -> None:
    with staying():
        first, again, other, back = (run("count", what=what) for what in ("base", "base", "other", "base"))

        with staying():
            inner, kind = run("count", what="base"), run("count_else", what="base")

    assert len({one["pid"] for one in (first, again, other, back, inner, kind)}) == 1
    assert [one["uses"] for one in (first, again, other, back, inner, kind)] == [1, 2, 1, 1, 2, 1]
    assert _gone([first["pid"]])
    assert run("count", what="base")["uses"] == 1  # outside the block every job has a process of its own


def test_child_that_stays_ends_with_a_failure_and_for_a_job_that_wants_to_be_alone() -> None:
    def stop(event: dict) -> None:
        raise KeyboardInterrupt

    with staying():
        first = run("count", what="base")
        with pytest.raises(InputError):
            run("fail", how="input")
        second = run("count", what="base")
        with pytest.raises(KeyboardInterrupt):
            run_child("tests.model.jobs:count", {"what": "base"}, stop, exclusive=False)
        third = run("count", what="base")
        alone = run_child("tests.model.jobs:count", {"what": "base"}, exclusive=False, stays=False)

        assert _gone([first["pid"], second["pid"], third["pid"], alone["pid"]])
    assert [one["uses"] for one in (first, second, third, alone)] == [1, 1, 1, 1]


def test_child_that_stays_lets_others_compute_between_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a lock of this test's own: other tests hold the machine's for minutes
    job = "from tasks.model.child import run_child\nrun_child('tests.model.jobs:echo', {})"

    with staying():
        first = run_child("tests.model.jobs:count", {"what": "base"})
        other = subprocess.run([sys.executable, "-c", job], cwd=ROOT, timeout=60)
        again = run_child("tests.model.jobs:count", {"what": "base"})

    assert (tmp_path / "rawtune-torch.lock").exists()
    assert other.returncode == 0
    assert (again["pid"], again["uses"]) == (first["pid"], 2)


def test_child_unknown_interpreter_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        run_child("tests.model.jobs:echo", {}, python=tmp_path / "python")


def test_child_whose_listener_raises_dies_with_its_whole_group() -> None:
    pids: list[int] = []

    def stop(event: dict) -> None:
        pids.extend(event["pids"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_child("tests.model.jobs:linger", {}, stop, exclusive=False)

    assert _gone(pids)


def test_child_dies_with_a_parent_killed_by_sigkill() -> None:
    script = (
        "from tasks.model.child import run_child\n"
        "run_child('tests.model.jobs:linger', {}, lambda event: print(*event['pids'], flush=True), exclusive=False)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert _gone(pids[:1])
    for pid in pids[1:]:  # a grandchild is taken along when the watcher wins over the kernel's own kill
        if not _gone([pid], seconds=1):
            os.kill(pid, signal.SIGKILL)


def _gone(pids: list[int], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_child_that_waits_for_the_machine_says_whose_job_runs(tmp_path: Path) -> None:
    told: list[Event] = []
    with (tmp_path / "rawtune-torch.lock").open("w") as held:
        held.write("some.module:job (process 4711)")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)

        def let_go(event: Event) -> None:
            told.append(event)
            fcntl.flock(held, fcntl.LOCK_UN)

        with inside("training/train"), listening(let_go):
            run_child("tests.model.jobs:echo", {"text": ""}, environment={"TMPDIR": str(tmp_path)})

    assert [(event.step, event.kind) for event in told] == [("training/train", "notice")] * 2
    assert told[0].text == "waits for the torch job some.module:job (process 4711) on this machine; one runs at a time"
    assert (tmp_path / "rawtune-torch.lock").read_text("utf-8").startswith("tests.model.jobs:echo (process ")
