"""Programs that a model wrote can compute and nothing else."""

import json
import os
import socket
from pathlib import Path

import pytest

from tasks.evaluation.general import _human_eval
from tasks.evaluation.sandbox import Outcome, run_program
from tasks.evaluation.sandbox_child import read, written
from tasks.evaluation.scoring import program_passes
from tests.evaluation.cheats import CHEATS


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("x = sum(range(10))\nassert x == 45", Outcome.PASSED),
        ("import math, re, collections, itertools\nassert math.sqrt(4) == 2", Outcome.PASSED),
        ("print('x' * 1000)", Outcome.PASSED),
        ("assert 1 == 2", Outcome.FAILED),
        ("def (", Outcome.FAILED),
        ("'\ud800'", Outcome.FAILED),
        ("exit()", Outcome.FAILED),
        ("import os\nos._exit(0)", Outcome.FAILED),
        ("print('x' * 10**6)", Outcome.PASSED),
        ("import os\nos.write(1, b'x')", Outcome.PASSED),
        ("import os\nos._exit(97)", Outcome.FAILED),
        ("x = 'a' * 10**10", Outcome.FAILED),
        ("import time\ntime.sleep(60)", Outcome.FAILED),
        ("import os\nos.fork()", Outcome.FAILED),
        ("import subprocess\nsubprocess.run(['id'])", Outcome.FAILED),
        ("import threading\nthreading.Thread(target=print).start()", Outcome.FAILED),
        ("import ctypes\nassert ctypes.CDLL(None).fork() != -1", Outcome.FAILED),
    ],
)
def test_program_ends_as_expected(program: str, expected: Outcome) -> None:
    assert run_program(program, seconds=2) is expected


def test_endless_program_is_ended() -> None:
    assert run_program("while True: pass", seconds=1) is Outcome.TIMEOUT


def test_program_cannot_read_list_write_or_remove_files(tmp_path: Path) -> None:
    target = tmp_path / "private"
    target.write_text("secret")
    for attempt in (
        f"open({str(target)!r}).read()",
        f"import os\nos.listdir({str(tmp_path)!r})",
        f"import os\nos.unlink({str(target)!r})",
        f"import os\nos.rename({str(target)!r}, {str(target)!r} + '2')",
        "open('here', 'w')",
    ):
        assert run_program(attempt, seconds=2) is Outcome.FAILED
    run_program(f"import os\nos.system('touch {tmp_path}/made')", seconds=2)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("private", "secret")]


def test_program_cannot_reach_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        attempt = f"import _socket\n_socket.socket(2, 1).connect(('127.0.0.1', {port}))"
        assert run_program(attempt, seconds=2) is Outcome.FAILED
        with pytest.raises(TimeoutError):
            server.accept()


def test_program_cannot_signal_other_processes() -> None:
    assert run_program(f"import os\nos.kill({os.getpid()}, seconds=9)", 2) is Outcome.FAILED


def test_program_sees_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")
    assert run_program("import os\nassert 'GITHUB_TOKEN' not in os.environ", seconds=2) is Outcome.PASSED


def test_human_eval_reference_solutions_pass_and_empty_ones_fail() -> None:
    problems = list(_human_eval().values())[33::40]
    assert len(problems) == 4
    for problem in problems:
        whole = f"Here:\n```python\n{problem['prompt']}{problem['canonical_solution']}\n```"
        assert program_passes(problem, whole) == 1
        assert program_passes(problem, problem["canonical_solution"]) == 1
        assert program_passes(problem, "    return None") == 0


@pytest.mark.parametrize("cheat", CHEATS)
def test_program_cannot_pass_unsolved(cheat: str) -> None:
    problem = next(iter(_human_eval().values()))
    code = CHEATS[cheat].replace("NAME", problem["entry_point"])
    assert run_program(code, problem["test"], problem["entry_point"], 2) is Outcome.FAILED


def test_values_of_plain_types_come_back_as_they_were() -> None:
    value = {"a": [1, 2.5, None, True], (1, 2): {3, 4}, "b": frozenset([5]), "c": float("inf"), "d": "é\n", 7: {}}
    assert read(json.loads(json.dumps(written(value)))) == value
    with pytest.raises(TypeError, match="no plain value"):
        written([Outcome.PASSED])
