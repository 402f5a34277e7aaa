"""Gives back machines whose time is over, from anywhere: it needs the provider's key and nothing of Prefect.

Run it from another place than the worker (cron, CI), because a dead worker's host cannot reap. It touches only
machines that carry a complete claim.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

from deployments.lambda_cloud.claim import Claim
from deployments.lambda_cloud.provider import Machine, Provider
from deployments.lambda_cloud.rental import cost_usd, end

GRACE_SECONDS: Final = 120
"""A worker that lives gives a machine back when its time is over; the reaper comes this much later."""


@dataclass(frozen=True)
class Rented:
    """A machine that some rawtune worker rented, and how it stands."""

    machine: Machine
    claim: Claim
    now: float

    @property
    def is_overdue(self) -> bool:
        """Whether nobody gave it back when its time was over."""
        return self.now > self.claim.expires + GRACE_SECONDS

    @property
    def usd(self) -> float:
        """What it has cost so far, at most."""
        return cost_usd(self.machine.usd_per_hour, self.now - self.claim.launched)


async def rented(provider: Provider, pool: str | None = None) -> list[Rented]:
    """Machines that cost money and carry a claim, of one pool or of all, the oldest first."""
    now = time.time()
    found = [
        Rented(machine, claim, now)
        for machine in await provider.list()
        if machine.status.is_paid and (claim := Claim.read(machine.tags)) is not None
    ]
    return sorted(
        (one for one in found if pool in (None, one.claim.pool)), key=lambda one: (one.claim.launched, one.machine.id)
    )


async def reap(provider: Provider, pool: str | None = None, everything: bool = False) -> list[Rented]:
    """Terminates overdue machines, or everything that carries a claim, and returns them once they are gone."""
    doomed = [one for one in await rented(provider, pool) if everything or one.is_overdue]
    log = logging.getLogger(__name__)
    await asyncio.gather(*(end(provider, one.machine.id, log) for one in doomed))
    return doomed
