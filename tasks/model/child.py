"""Runs torch work in a child process: JSON in, JSON out.

A child is the one place where torch is imported: its memory is freed for sure, its import order is its own (`unsloth`
must come first), a crash of it is an error with a text, and one lock per machine keeps two of them from running at once
(two torch jobs on two cores are 4 to 9 times slower each). It has its own process group, which dies with this process,
even by SIGKILL: the child ends itself when its stdin does, and Linux is asked to kill it in addition.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Final

from tasks.base import errors
from tasks.base.errors import ChildError, InputError, RawtuneError
from tasks.base.progress import notice
from tasks.model.request import Request

ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder that holds the package `tasks`; the child imports from it whatever environment it runs in."""

TAIL_LINES: Final = 40
"""How many of the last lines of a failed child's stderr are kept."""

QUIET: Final = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}
"""Children work on local files only; what is to be fetched is fetched before, in the parent."""

KEPT: Final = re.compile(
    r"(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV|CC|CXX|CPATH|LIBRARY_PATH|C_INCLUDE_PATH"
    r"|LD_LIBRARY_PATH|LD_PRELOAD|MALLOC_ARENA_MAX|MASTER_ADDR|MASTER_PORT|RANK|LOCAL_RANK|WORLD_SIZE|NO_COLOR|COLUMNS"
    r"|(LC|XDG|PYTHON|CUDA|NVIDIA|NCCL|CUBLAS|CUDNN|NVTE|HIP|ROCR|ROCM|HSA|OMP|KMP|MKL|OPENBLAS|NUMEXPR|GOMP|GLOO|TORCH"
    r"|TORCHINDUCTOR|PYTORCH|TRITON|XFORMERS|FLASH_ATTENTION|UNSLOTH|VLLM|BNB|HF|TRANSFORMERS|SAFETENSORS|COVERAGE)_?\w*)",
)
"""Environment variables that a child gets: where things lie, and how Python and the accelerator's libraries work."""

SECRET: Final = re.compile(r"TOKEN|KEY|SECRET|PASS|CREDENTIAL|AUTH|WEBHOOK|(URL|URI|DSN)$")
"""Of those, what is named like one of these stays here: a child has no use for it, and its stderr is kept."""

logger = logging.getLogger(__name__)


class OutOfMemory(ChildError):
    """The child ran out of memory (the accelerator's or the machine's); a plan with less may still fit."""


def run_child(
    job: str,
    request: Request | Mapping[str, Any],
    progress: Callable[[dict[str, Any]], None] | None = None,
    *,
    python: Path | None = None,
    environment: Mapping[str, str] | None = None,
    exclusive: bool = True,
    stays: bool = True,
) -> dict[str, Any]:
    """Runs `job` in a child process and returns its answer.

    Args:
        job: `package.module:function`, called there with the request and a function that reports progress.
        request: what the job takes.
        progress: called in this thread with each JSON object that the job reports; what it raises ends the child.
        python: the interpreter; null = this one. It must be able to import what the job imports; `tasks` it finds
            by itself.
        environment: variables on top of those of this process that a child has a use for.
        exclusive: wait for, then hold the machine's torch lock. False only for jobs that compute on one core.
        stays: whether inside `staying()` it may share its process with other jobs.

    Raises:
        OutOfMemory: memory was not enough, or the kernel killed the child.
        ChildError: anything else that ended it; `str()` is one line, the traceback's notes hold the end of its stderr.
        RawtuneError: what the job itself raised on purpose, with its own class and text.
    """
    executable = python or Path(sys.executable)
    if not executable.exists():
        raise InputError(f"{executable} does not exist; make the environment that {job} needs")
    surroundings = _environment(environment or {})
    keeper = _keeper.get()
    child = keeper.take(executable, surroundings, stays) if keeper else None
    child = child or _Child(job, executable, surroundings)
    asked = request.model_dump(mode="json") if isinstance(request, Request) else request
    order = {"job": job, "exclusive": exclusive, "request": asked, "stays": keeper is not None and stays}
    outcome: dict[str, Any] | None = None
    try:
        outcome = child.converse(order, progress)
    finally:
        if keeper and order["stays"] and outcome is not None and outcome["event"] == "answer":
            keeper.child = child
        else:
            child.end()
    if outcome is not None and outcome["event"] == "answer":
        answer: dict[str, Any] = outcome["value"]
        return answer
    raise _error(job, outcome, child.process.returncode, tuple(child.tail))


@contextmanager
def staying() -> Iterator[None]:
    """Inside the block a child stays after its job and does the next one, with what it holds.

    It stays as long as jobs end well and want the same interpreter and environment (see `holding.py`).
    """
    if _keeper.get() is not None:
        yield  # the outer block's child
        return
    keeper = _Keeper()
    before = _keeper.set(keeper)
    try:
        yield
    finally:
        _keeper.reset(before)
        keeper.end()


class _Child:
    """A process that does jobs."""

    def __init__(self, job: str, executable: Path, environment: Mapping[str, str]) -> None:
        self.executable, self.environment = executable, environment
        self.process = subprocess.Popen(
            [str(executable), "-m", "tasks.model.child_main", job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        stderr = self.process.stderr
        self._drain = threading.Thread(target=_drain, args=(stderr, self.tail), name=f"stderr of {job}", daemon=True)
        self._drain.start()

    def converse(
        self, order: Mapping[str, Any], progress: Callable[[dict[str, Any]], None] | None
    ) -> dict[str, Any] | None:
        """Sends the order and follows the events; the last one (answer or error), or None if there was none."""
        try:
            self.stdin.write(json.dumps(order).encode() + b"\n")
            self.stdin.flush()
        except BrokenPipeError:
            return None
        for line in self.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] in ("answer", "error"):
                return event
            if event["event"] == "waiting":
                notice(f"waits for the torch job {event['value']} on this machine; one runs at a time")
            if event["event"] == "going":
                notice("the machine is free, goes on")
            if event["event"] == "progress" and progress is not None:
                progress(event["value"])
        return None

    def end(self) -> None:
        """Also after an answer: nothing that a job started may outlive the process."""
        _kill_group(self.process.pid)
        self.process.wait()
        self._drain.join(timeout=5)
        self.stdin.close()
        self.stdout.close()


class _Keeper:
    """Has the child that stays between two jobs."""

    def __init__(self) -> None:
        self.child: _Child | None = None

    def take(self, executable: Path, environment: Mapping[str, str], stays: bool) -> _Child | None:
        """The child, if it can do such a job; else it makes room for another."""
        child, self.child = self.child, None
        if child is None:
            return None
        if (
            stays
            and (child.executable, child.environment) == (executable, environment)
            and child.process.poll() is None
        ):
            return child
        child.end()
        return None

    def end(self) -> None:
        """Ends the child, if there is one."""
        if self.child is not None:
            self.child.end()


_keeper: ContextVar[_Keeper | None] = ContextVar("keeper", default=None)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name) and not SECRET.search(name)}
    search = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH", "")) if part)
    return kept | QUIET | {"PYTHONPATH": search} | dict(extra)


def _drain(stderr: IO[bytes], tail: deque[str]) -> None:
    with stderr:
        for line in stderr:
            text = line.decode("utf-8", "replace").rstrip()
            tail.append(text)
            logger.debug("%s", text)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _error(job: str, outcome: dict[str, Any] | None, code: int, tail: tuple[str, ...]) -> RawtuneError:
    error: RawtuneError
    if outcome is None:
        if code == -signal.SIGKILL:
            error = OutOfMemory(
                f"{job} was killed by the system, most likely because memory ran out; use a smaller model, rank or row"
            )
        else:
            last = next((line for line in reversed(tail) if line.strip()), "it printed nothing")
            error = ChildError(f"{job} ended without an answer (exit code {code}): {last}")
    else:
        kind, message = outcome["value"]["kind"], outcome["value"]["message"]
        own = getattr(errors, kind, None)
        if isinstance(own, type) and issubclass(own, RawtuneError):
            error = own(message)
        elif kind in ("memory", "OutOfMemory"):
            error = OutOfMemory(f"{job} ran out of memory ({message}); use a smaller model, rank or row")
        elif kind == "disk":
            error = ChildError(f"{job}: the disk is full ({message}); free some space and run again")
        else:
            error = ChildError(f"{job} failed: {message}")
    if tail:
        error.add_note("end of the child's stderr:\n" + "\n".join(tail))
    return error
