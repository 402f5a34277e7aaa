"""Gives back machines whose time is over, from anywhere: it needs the provider's key and nothing of Prefect.

Run it from another place than the worker (cron, CI), because a dead worker's host cannot reap. It touches only
machines that carry a complete claim. All times are the provider's, so the clock of the host that it runs on, right or
wrong, ends nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deployments.lambda_cloud.claim import Claim
from deployments.lambda_cloud.provider import Machine, NoCapacity, Provider, Unclear
from deployments.lambda_cloud.rental import cost_usd, end

GRACE_SECONDS: Final = 120
"""A worker that lives gives a machine back when its time is over; the reaper comes this much later."""

LIST_SECONDS: Final = (2.0, 5.0, 15.0)
"""Waits between two requests for the list, while the provider gives no answer that can be read."""


@dataclass(frozen=True)
class Rented:
    """A machine that some rawtune worker rented, and how it stands."""

    machine: Machine
    claim: Claim
    now: float

    @property
    def seconds_left(self) -> float:
        """Until its money is used up."""
        return self.claim.expires_at(self.machine.usd_per_hour) - self.now

    @property
    def is_overdue(self) -> bool:
        """Whether nobody gave it back when its time was over."""
        return self.seconds_left < -GRACE_SECONDS

    @property
    def usd(self) -> float:
        """What it has cost so far, at most."""
        price = max(self.machine.usd_per_hour, self.claim.usd_per_hour)
        return cost_usd(price, self.now - self.claim.launched)


async def rented(provider: Provider, pool: str | None = None, waits: Sequence[float] = LIST_SECONDS) -> list[Rented]:
    """Machines that cost money and carry a claim, of one pool or of all, the oldest first.

    Raises:
        ProviderError: the provider refused, or gave no answer that can be read after the last of the waits.
    """
    machines = await _listed(provider, waits)
    now = provider.now()
    found = [
        Rented(machine, claim, now)
        for machine in machines
        if machine.status.is_paid and (claim := Claim.read(machine.tags)) is not None
    ]
    return sorted(
        (one for one in found if pool in (None, one.claim.pool)), key=lambda one: (one.claim.launched, one.machine.id)
    )


async def _listed(provider: Provider, waits: Sequence[float]) -> Sequence[Machine]:
    for wait in waits:
        try:
            return await provider.list()
        except (Unclear, NoCapacity) as error:
            logging.getLogger(__name__).warning("%s; asking again", error)
        await asyncio.sleep(wait)
    return await provider.list()


async def reap(provider: Provider, pool: str | None = None, everything: bool = False) -> list[Rented]:
    """Terminates overdue machines, or everything that carries a claim, and returns them once they are gone."""
    doomed = [one for one in await rented(provider, pool) if everything or one.is_overdue]
    log = logging.getLogger(__name__)
    await asyncio.gather(*(end(provider, one.machine.id, log) for one in doomed))
    return doomed
