"""SIGKILL while a release is published: the Hub has the old or the new one, never half, and the next call finishes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators.hub_api import Fault, HubEmulator
from tests.release.conftest import REPO, contents, make_release, on_hub

FIRST, SECOND = "snapshot/2024-01-31-11111111", "snapshot/2024-02-29-22222222"
PUSH = "import sys, pathlib; from tasks.release.hub import push; push(pathlib.Path(sys.argv[1]), *sys.argv[2:4], True)"
ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path, revision: str) -> subprocess.Popen[bytes]:
    """A process of its own that publishes a folder."""
    command = [sys.executable, "-c", PUSH, str(folder), REPO, revision]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "release_now"),
    [
        (Fault("hang_before", "PUT", "/upload/"), 1),
        (Fault("hang_before", "POST", "/commit/snapshot"), 1),
        (Fault("hang_after", "POST", "/commit/snapshot"), 1),
        (Fault("hang_before", "POST", "/commit/main"), 1),
        (Fault("hang_after", "POST", "/commit/main"), 2),
    ],
    ids=str,
)
def test_push_killed_leaves_one_whole_release_and_the_next_push_finishes(
    emulator: HubEmulator, tmp_path: Path, fault: Fault, release_now: int
) -> None:
    folders = {1: make_release(tmp_path / "one", 1), 2: make_release(tmp_path / "two", 2)}
    assert start(folders[1], FIRST).wait(timeout=60) == 0
    emulator.plant(fault)
    process = start(folders[2], SECOND)
    assert fault.reached.wait(timeout=60)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert on_hub(emulator, "main") == contents(folders[release_now])
    fault.release.set()
    assert start(folders[2], SECOND).wait(timeout=60) == 0
    assert on_hub(emulator, "main") == on_hub(emulator, SECOND) == contents(folders[2])
    titles = [commit.title for commit in emulator.hub.repositories["models", REPO].history("main")]
    assert titles == [f"Publish {SECOND}", f"Publish {FIRST}", "initial commit"]
