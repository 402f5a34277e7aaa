"""What the machine has; only children call this, since it asks torch."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from tasks.training.planner import CARDS, Card

UNKNOWN: Final = Card("", 0, (0, 0), 100e12, None, 1e12, 0.0)
"""Rates of a card that is not in the list; they bear on predicted times only."""


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
    """Name of the device, its free and total memory in bytes, its compute capability (null for a CPU). What this
    process holds from an earlier job counts as free: it is taken over or given up.
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
    found = (capability[0], capability[1])
    return dataclasses.replace(near, name=device, free_bytes=free_bytes, capability=found, fp8_flops=fp8)
