"""Which GPU this machine has, asked without torch."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

CPU: Final = "cpu"


def this_machines() -> str:
    """The planner's name of the first GPU here, as nvidia-smi calls it; `cpu` if there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return CPU
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    if not found:
        return CPU
    title, _, mebibytes = found.splitlines()[0].rpartition(",")
    words = title.lower().replace("-", " ").split()
    if "a100" in words:
        return "a100-80" if float(mebibytes) > 60_000 else "a100-40"
    return next((name for name in ("h200", "h100", "l4", "t4") if name in words), title.strip())
