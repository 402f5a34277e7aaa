"""What `sandbox` runs in its own interpreter: one process for the program, one for the tests.

The program's process never has the tests. It gets arguments and gives back values as JSON, of plain types only, so
that neither an object that equals everything nor anything it does to its interpreter can pass a test. Only the exit
status of the tests' process counts. Nothing of rawtune is imported here: the interpreter has the standard library only.
"""

from __future__ import annotations

import bisect
import collections
import copy
import ctypes
import datetime
import decimal
import fractions
import functools
import hashlib
import heapq
import itertools
import json
import math
import operator
import os
import random
import re
import resource
import signal
import statistics
import string
import struct
import sys
import typing
from collections.abc import Sequence
from typing import IO, Any, Final

FOR_PROGRAMS: Final = (
    *(bisect, collections, copy, datetime, decimal, fractions, functools, hashlib, heapq, itertools, math, operator),
    *(random, re, statistics, string, typing),
)
"""What programs may use: an import after the lock opens a file, and fails."""
FAILED, NOT_LOCKED, TIMEOUT = 1, 97, 98
PROGRAM: Final = "<program>"
MAX_DEPTH: Final = 40


class Filter(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def locked(arch: int, calls: Sequence[int]) -> bool:
    """Whether from now on the kernel refuses all but some system calls, which cannot be undone.

    BPF: load the architecture, kill on another; load the call's number; allowed ones jump to ALLOW, the rest get EPERM.
    """
    code = [(0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
    code += [(0x15, len(calls) - index, 0, number) for index, number in enumerate(calls)]
    code += [(0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
    packed = b"".join(struct.pack("HBBI", *one) for one in code)
    held = ctypes.create_string_buffer(packed, len(packed))
    rules = Filter(len(code), ctypes.addressof(held))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return not (prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.byref(rules), 0, 0))


def written(value: Any, depth: int = 0) -> Any:
    """A value of plain types as JSON; a tuple, set or dict is a list behind its type's name.

    Raises:
        TypeError: it is of another type, a subclass of a plain one included.
    """
    if depth > MAX_DEPTH:
        raise TypeError("nested too deep")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple, set, frozenset):
        return [type(value).__name__, *(written(one, depth + 1) for one in value)]
    if type(value) is dict:
        return ["dict", *([written(key, depth + 1), written(one, depth + 1)] for key, one in value.items())]
    raise TypeError(f"{type(value).__name__} is no plain value")


def read(value: Any) -> Any:
    """The value that `written` wrote."""
    if not isinstance(value, list):
        return value
    name, *parts = value
    if name == "dict":
        return {read(key): read(one) for key, one in parts}
    kinds: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    return kinds[name](map(read, parts))


def run_program(asked: IO[str], answers: IO[str]) -> None:
    """The program's side: runs it, then answers one call of its function after another."""
    print(json.dumps("locked"), file=answers, flush=True)
    scope: dict[str, Any] = {"__name__": "__program__"}
    exec(compile(json.loads(asked.readline()), PROGRAM, "exec"), scope)
    print(json.dumps("ran"), file=answers, flush=True)
    for line in asked:
        name, *arguments = json.loads(line)
        value = scope[name](*map(read, arguments))
        print(json.dumps(["value", written(value)]), file=answers, flush=True)


def run_tests(request: dict[str, Any], asks: IO[str], answers: IO[str]) -> None:
    """The tests' side.

    Raises:
        EOFError: the program's process ended.
    """

    def answer() -> Any:
        line = answers.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def candidate(*arguments: Any) -> Any:
        print(json.dumps([request["entry_point"], *map(written, arguments)]), file=asks, flush=True)
        _, value = answer()
        return read(value)

    print(json.dumps(request["program"]), file=asks, flush=True)
    if answer() != "ran":
        raise ValueError("the program did not run to its end")
    if request["test"]:
        scope: dict[str, Any] = {"__name__": "__tests__"}
        exec(compile(request["test"], "<tests>", "exec"), scope)
        scope[request["entry_point"]] = candidate  # the tests of HumanEval/33 call it by its name
        scope["check"](candidate)


def main() -> None:
    """Splits into both processes; ends with 0 if the tests passed."""
    limits = json.loads(sys.argv[1])
    os.chdir(limits["folder"])
    to_program, from_tests = os.pipe()
    to_tests, from_program = os.pipe()
    for name, value in (
        (resource.RLIMIT_CPU, int(limits["seconds"]) + 1),
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        resource.setrlimit(name, (value, value))
    child = os.fork()
    if child == 0:
        os.close(0)  # before anything is read from it: this process must not have the tests
        os.close(from_tests)
        os.close(to_tests)
        if not locked(limits["arch"], limits["calls"]):
            os._exit(NOT_LOCKED)
        run_program(os.fdopen(to_program, encoding="utf-8"), os.fdopen(from_program, "w", encoding="utf-8"))
        os._exit(0)
    os.close(to_program)
    os.close(from_program)
    request = json.loads(sys.stdin.buffer.read())
    answers = os.fdopen(to_tests, encoding="utf-8")
    if not locked(limits["arch"], limits["calls"]) or answers.readline() != '"locked"\n':
        os._exit(NOT_LOCKED)
    try:
        run_tests(request, os.fdopen(from_tests, "w", encoding="utf-8"), answers)
    except (EOFError, BrokenPipeError):
        _, status = os.waitpid(child, 0)
        ended = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        os._exit(TIMEOUT if ended else FAILED)
    except BaseException:
        os._exit(FAILED)
    os._exit(0)


if __name__ == "__main__":
    main()
