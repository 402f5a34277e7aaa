"""Runs Python code that a model wrote, where it can compute and nothing else.

The child is a fresh interpreter (`-I -S`, empty environment, no open files but its pipes, an empty folder) with
limits on time and memory. Before the code runs it imports what programs may use and then locks itself in: a seccomp
filter allows about twenty system calls, none of which opens a file, makes a socket, starts or signals a process. An
import of any other module fails, as does everything else that needs the kernel. The tests run in a second process
beside it (`sandbox_child`), which the program cannot look into. Linux on x86-64 and arm64 only; elsewhere such code is
not run at all.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from tasks.base.errors import InputError
from tasks.evaluation.sandbox_child import NOT_LOCKED, TIMEOUT

CHILD: Final = Path(__file__).with_name("sandbox_child.py")

TIMEOUT_SECONDS: Final = 5.0
MEMORY_BYTES: Final = 512 * 1024 * 1024

ALLOWED: Final = {
    "x86_64": (
        0xC000003E,
        # read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn sched_yield
        # mremap madvise getpid exit wait4 gettimeofday sigaltstack gettid futex clock_gettime exit_group getrandom rseq
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 61, 96, 131, 186, 202, 228, 231, 318, 334),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(
                57,
                62,
                63,
                64,
                80,
                93,
                94,
                98,
                113,
                124,
                132,
                134,
                135,
                139,
                169,
                172,
                178,
                214,
                215,
                216,
                222,
                226,
                233,
            ),
            *(260, 278, 293),
        ),
    ),
}
"""Machine → its AUDIT_ARCH constant (linux/audit.h) and the numbers of the allowed system calls (asm/unistd.h)."""


class Outcome(StrEnum):
    """How a program ended."""

    PASSED = "passed"
    """It ran to its end."""
    FAILED = "failed"
    """It raised, exited early, or was not Python."""
    TIMEOUT = "timeout"
    """It was still running at the limit."""


def check_supported() -> None:
    """Raises InputError where programs cannot be locked in."""
    if sys.platform != "linux" or platform.machine() not in ALLOWED:
        raise InputError(
            f"evaluation.general_suites: human-eval runs code that the model wrote and can be locked in on Linux "
            f"(x86-64, arm64) only, not on {sys.platform} {platform.machine()}; leave it out"
        )


def run_program(program: str, test: str = "", entry_point: str = "", seconds: float = TIMEOUT_SECONDS) -> Outcome:
    """Runs a program to its end in the sandbox, and then tests of its function.

    Args:
        program: what the model wrote.
        test: trusted code with a function `check(candidate)` that raises where the program is wrong; empty = none.
        entry_point: the program's function that `candidate` calls. Arguments and results are plain values.
        seconds: of processor time.

    Raises:
        InputError: this machine has no sandbox.
    """
    check_supported()
    arch, calls = ALLOWED[platform.machine()]
    request = {"program": program, "test": test, "entry_point": entry_point}
    with tempfile.TemporaryDirectory(prefix="rawtune-sandbox-") as folder:
        limits = {"folder": folder, "seconds": seconds, "memory": MEMORY_BYTES, "arch": arch, "calls": calls}
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(CHILD), json.dumps(limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
        try:
            # the interpreter starts before the program: 10 seconds more for a busy machine
            process.communicate(json.dumps(request).encode(), timeout=seconds + 10)
        except subprocess.TimeoutExpired:
            return Outcome.TIMEOUT
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the program's process may be left
            process.wait()
    if process.returncode == NOT_LOCKED:
        raise InputError("evaluation.general_suites: this kernel refuses seccomp filters; leave human-eval out")
    if process.returncode in (TIMEOUT, -signal.SIGXCPU, -signal.SIGKILL):
        return Outcome.TIMEOUT
    return Outcome.PASSED if process.returncode == 0 else Outcome.FAILED
