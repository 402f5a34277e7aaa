"""GPUs: which there are, what they can do, and which one this machine has.

Only `start_clean`, `device_count`, `device_facts` and `this_card` ask torch, so only children call those.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any, Final

GIB: Final = 2**30


@dataclass(frozen=True)
class Card:
    """What matters of a GPU."""

    name: str
    free_bytes: int
    capability: tuple[int, int]
    bf16_flops: float
    """Peak dense rate; of float16 where there is no bfloat16."""
    fp8_flops: float | None
    bandwidth: float
    """Bytes per second."""
    usd_per_hour: float
    """On demand at Lambda, November 2026; 0 where it does not offer the card."""


CARDS: Final = {
    "h100": Card("H100 SXM", int(78.6 * GIB), (9, 0), 989e12, 1979e12, 3.35e12, 4.29),
    "h200": Card("H200", int(139.0 * GIB), (9, 0), 989e12, 1979e12, 4.8e12, 0.0),
    "a100-80": Card("A100 80 GB", int(78.6 * GIB), (8, 0), 312e12, None, 2.04e12, 0.0),
    "a100-40": Card("A100 40 GB", int(38.9 * GIB), (8, 0), 312e12, None, 1.56e12, 1.99),
    "l4": Card("L4", int(21.9 * GIB), (8, 9), 121e12, 242e12, 0.3e12, 0.0),
    "t4": Card("T4", int(14.6 * GIB), (7, 5), 65e12, None, 0.32e12, 0.0),
}

UNKNOWN: Final = Card("", 0, (0, 0), 100e12, None, 1e12, 0.0)
"""Rates of a card that is not in the list; they bear on predicted times only."""


CPU: Final = "cpu"


def this_machines() -> str:
    """The planner's name of the first GPU here, as nvidia-smi calls it; `cpu` if there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return CPU
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    if not listed:
        return CPU
    title, _, mebibytes = listed.splitlines()[0].rpartition(",")
    words = title.lower().replace("-", " ").split()
    if "a100" in words:
        return "a100-80" if float(mebibytes) > 60_000 else "a100-40"
    return next((name for name in ("h200", "h100", "l4", "t4") if name in words), title.strip())


def start_clean() -> None:
    """Frees what an earlier job of this process has left on the GPU, and measures the peak from here."""
    import gc

    import torch

    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def device_count() -> int:
    """GPUs of this machine; 1 for a CPU."""
    import torch

    return max(1, int(torch.cuda.device_count()))


def device_facts() -> dict[str, Any]:
    """Name of the device, its free and total memory in bytes, its compute capability (null for a CPU).

    What this process holds from an earlier job counts as free: it is taken over or given up.
    """
    import os

    import torch

    if not torch.cuda.is_available():
        page = os.sysconf("SC_PAGE_SIZE")
        free, total = os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
        return {"device": "cpu", "free_bytes": free, "total_bytes": total, "capability": None}
    free_cuda, total_cuda = torch.cuda.mem_get_info()
    return {
        "device": torch.cuda.get_device_name(),
        "free_bytes": free_cuda + torch.cuda.memory_reserved(),
        "total_bytes": total_cuda,
        "capability": list(torch.cuda.get_device_capability()),
    }


def this_card() -> Card | None:
    """The GPU with the memory that is free now; None = there is none."""
    facts = device_facts()
    return None if facts["capability"] is None else card(**facts)


def card(device: str, free_bytes: int, total_bytes: int, capability: list[int]) -> Card:
    """A card of `planner.CARDS` by the name that the driver gives it, or one of unknown rates."""
    words = device.replace("-", " ").split()
    alike = [known for known in CARDS.values() if known.name.split()[0] in words]
    near = min(alike, key=lambda known: abs(known.free_bytes - total_bytes), default=UNKNOWN)
    fp8 = near.fp8_flops or (2 * near.bf16_flops if capability >= [8, 9] else None)
    version = (capability[0], capability[1])
    return dataclasses.replace(near, name=device, free_bytes=free_bytes, capability=version, fp8_flops=fp8)
