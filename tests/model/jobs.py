"""Jobs for the child runner's tests; no torch."""

import errno
import os
import subprocess
import sys
import time
from typing import Any

from tasks.base.errors import InputError
from tasks.model.child_main import Report
from tasks.model.holding import held


def echo(request: dict[str, Any], report: Report) -> dict[str, Any]:
    print("a library's banner on stdout")
    report({"done": 1})
    return request | {"secret": os.environ.get("SOME_API_KEY"), "torch": "torch" in sys.modules}


def fail(request: dict[str, Any], report: Report) -> dict[str, Any]:
    print("last words", file=sys.stderr)
    raise {
        "input": InputError("base_model: x is wrong; choose another"),
        "memory": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        "disk": OSError(errno.ENOSPC, "No space left on device"),
        "other": ValueError("first line\nsecond line"),
    }[request["how"]]


def vanish(request: dict[str, Any], report: Report) -> dict[str, Any]:
    os._exit(7)


def linger(request: dict[str, Any], report: Report) -> dict[str, Any]:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    report({"pids": [os.getpid(), grandchild.pid]})
    time.sleep(60)
    return {}


def count(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Which process this is, and how often something was made in it so far."""
    made = held(request["what"], lambda: [0])
    made[0] += 1
    report({"done": 1})
    return {"pid": os.getpid(), "uses": made[0]}


def count_else(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """A job of another kind that asks for the same."""
    return count(request, report)
