"""Runs Python code that a model wrote, where it can compute and nothing else.

The child is a fresh interpreter (`-I -S`, empty environment, no open files but its pipes, an empty folder) with
limits on time, memory and file size. Before the code runs it imports what programs may use and then locks itself in:
a seccomp filter allows about twenty system calls, none of which opens a file, makes a socket, starts or signals a
process. An import of any other module fails, as does everything else that needs the kernel. Linux on x86-64 and
arm64 only; elsewhere such code is not run at all.
"""

from __future__ import annotations

import json
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
from enum import StrEnum
from typing import Final

from tasks.base.errors import InputError

TIMEOUT_SECONDS: Final = 5.0
MEMORY_BYTES: Final = 512 * 1024 * 1024
OUTPUT_BYTES: Final = 64 * 1024
"""A program that prints more is ended."""

ALLOWED: Final = {
    "x86_64": (
        0xC000003E,
        # read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn sched_yield
        # mremap
        # madvise getpid exit gettimeofday sigaltstack gettid futex clock_gettime exit_group getrandom rseq
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 96, 131, 186, 202, 228, 231, 318, 334),
    ),
    "aarch64": (
        0xC00000B7,
        (
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
            278,
            293,
        ),
    ),
}
"""Machine → its AUDIT_ARCH constant (linux/audit.h) and the numbers of the allowed system calls (asm/unistd.h)."""

_HARNESS: Final = """
import ctypes, json, os, resource, struct, sys
import bisect, collections, copy, datetime, decimal, fractions, functools, hashlib, heapq, itertools, math, operator
import random, re, statistics, string, typing
request = json.loads(sys.stdin.buffer.read())
os.chdir(request["folder"])
for name, value in (
    (resource.RLIMIT_CPU, int(request["seconds"]) + 1), (resource.RLIMIT_AS, request["memory"]),
    (resource.RLIMIT_FSIZE, request["output"]), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 3),
):
    resource.setrlimit(name, (value, value))
code = [(0x20, 0, 0, 4), (0x15, 1, 0, request["arch"]), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
calls = request["calls"]
for index, number in enumerate(calls):
    code.append((0x15, len(calls) - index, 0, number))
code += [(0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
packed = b"".join(struct.pack("HBBI", *one) for one in code)
held = ctypes.create_string_buffer(packed, len(packed))
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
rules = Filter(len(code), ctypes.addressof(held))
prctl = ctypes.CDLL(None, use_errno=True).prctl
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.byref(rules), 0, 0):
    os._exit(97)
os.write(1, b"locked\\n")
nonce, program = request.pop("nonce"), request.pop("program")
scope = {"__name__": "__program__"}
del request
exec(compile(program, "<program>", "exec"), scope)
sys.stdout.flush()
os.write(1, ("\\n" + nonce).encode())
os._exit(0)
"""
"""BPF: load the architecture, kill on another; load the call's number; allowed ones jump to ALLOW, the rest get EPERM.
"""


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


def run_program(program: str, seconds: float = TIMEOUT_SECONDS) -> Outcome:
    """Runs a program to its end in the sandbox.

    Raises:
        InputError: this machine has no sandbox.
    """
    check_supported()
    arch, calls = ALLOWED[platform.machine()]
    nonce = secrets.token_hex(16)  # only a program that ran to its end gets it printed; `exit()` does not pass
    with tempfile.TemporaryDirectory(prefix="rawtune-sandbox-") as folder:
        request = {
            "program": program,
            "folder": folder,
            "seconds": seconds,
            "memory": MEMORY_BYTES,
            "output": OUTPUT_BYTES,
            "arch": arch,
            "calls": calls,
            "nonce": nonce,
        }
        return _run(request, nonce, seconds)


def _run(request: dict[str, object], nonce: str, seconds: float) -> Outcome:
    with tempfile.TemporaryFile() as printed:  # a file and not a pipe: the limit on file size bounds what is kept
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _HARNESS],
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
        try:
            # the interpreter starts before the program: 10 seconds more for a busy machine; RLIMIT_CPU limits the
            # program
            process.communicate(json.dumps(request).encode("utf-8", "replace"), timeout=seconds + 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Outcome.TIMEOUT
        printed.seek(0)
        output = printed.read()
    if process.returncode == 97 or not output.startswith(b"locked\n"):
        raise InputError("evaluation.general_suites: this kernel refuses seccomp filters; leave human-eval out")
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return Outcome.TIMEOUT
    return Outcome.PASSED if process.returncode == 0 and output.endswith(nonce.encode()) else Outcome.FAILED
