"""One rental from order to end: find an offer, launch without paying twice, watch, terminate until it is gone.

Knows the provider and the machine's claim; of Prefect it knows only what `Watched` tells, so it can be followed and
tested apart from the worker.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from typing import Any, Final

from deployments.lambda_cloud.claim import Claim
from deployments.lambda_cloud.provider import Machine, Offer, Provider, ProviderError, Status

LOST_LOOKS: Final = 2
"""So many looks in a row must show a machine as lost: a list may lag behind for one."""

SEARCH_SECONDS: Final = 90.0
"""How long a launch without an answer is looked for."""

TERMINATE_SECONDS: Final = (1.0, 2.0, 5.0, 10.0)
"""Waits between two requests to terminate; the last one repeats."""

Log = logging.Logger | logging.LoggerAdapter[Any]


class Ending(StrEnum):
    """Why a rental ended."""

    FINISHED = "finished"
    """The flow run reached a final state."""
    LOST = "lost"
    """The machine went away or is not healthy."""
    CANCELLED = "cancelled"
    """The flow run was to be cancelled before it had started; one that has started ends itself."""
    NOT_STARTED = "not started"
    """The flow run did not start before the boot deadline."""
    EXPIRED = "expired"
    """The budget is used up."""


@dataclass(frozen=True)
class Watched:
    """What is known of the flow run."""

    is_final: bool
    has_started: bool
    is_cancelling: bool = False


@dataclass
class Stay:
    """A machine that is rented, and what its bill can be at most. Times are the provider's."""

    machine: Machine
    claim: Claim
    billed_from: float
    """The last time at which it was not yet billed: its launch, or a look at which it was still booting."""

    def __init__(self, machine: Machine, claim: Claim) -> None:
        self.machine, self.claim, self.billed_from = machine, claim, claim.launched

    def seen(self, machine: Machine, now: float) -> None:
        """Takes in what the provider says of the machine now; of several prices the highest counts."""
        price = max(machine.usd_per_hour, self.machine.usd_per_hour)
        self.machine = dataclasses.replace(machine, usd_per_hour=price)
        if machine.status is Status.BOOTING:
            self.billed_from = now

    @property
    def expires(self) -> float:
        """When the money is used up."""
        return self.claim.expires_at(self.machine.usd_per_hour)

    def usd(self, now: float) -> float:
        """What it has cost until now, at most."""
        return cost_usd(max(self.machine.usd_per_hour, self.claim.usd_per_hour), now - self.billed_from)


def choose(offers: Sequence[Offer], patterns: Sequence[str], regions: Sequence[str]) -> list[Offer]:
    """Offers worth trying, best first: by the first pattern that matches, then by price, then by name.

    Offers that match no pattern, or lie in another region than the given ones (if any), are left out.
    """

    def rank(offer: Offer) -> int | None:
        return next((place for place, pattern in enumerate(patterns) if fnmatch(offer.machine_type, pattern)), None)

    ranked = [(rank(offer), offer) for offer in offers if not regions or offer.region in regions]
    kept = [
        (place, offer.usd_per_hour, offer.machine_type, offer.region, offer)
        for place, offer in ranked
        if place is not None
    ]
    return [entry[-1] for entry in sorted(kept, key=lambda entry: entry[:-1])]


async def find_launched(provider: Provider, launch: str, seconds: float = SEARCH_SECONDS) -> Machine | None:
    """The machine of a launch whose answer was lost, looked for by its tag until that much time has passed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            for machine in await provider.list():
                claim = Claim.read(machine.tags)
                if claim is not None and claim.launch == launch:
                    return machine
        except ProviderError as error:
            if time.monotonic() > deadline:
                raise
            logging.getLogger(__name__).info("%s; looking again", error)
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(5)


async def watch(
    provider: Provider, stay: Stay, look: Callable[[], Awaitable[Watched]], poll: float, log: Log
) -> Ending:
    """Waits until the rental has a reason to end. A failed look at server or provider is no reason."""
    lost = 0
    while True:
        await asyncio.sleep(poll)
        now = provider.now()
        try:
            run = await look()
            if run.is_final:
                return Ending.FINISHED
            if run.is_cancelling and not run.has_started:
                return Ending.CANCELLED
            if not run.has_started and now > stay.claim.boot_by:
                return Ending.NOT_STARTED
        except Exception as error:  # any failure of the server or of the way to it; the deadlines below still hold
            log.warning("the Prefect server did not say how the run is (%s); looking again", type(error).__name__)
        if now > stay.expires:
            return Ending.EXPIRED
        try:
            machine = await provider.look(stay.machine.id)
            if machine is not None:
                stay.seen(machine, provider.now())
            lost = lost + 1 if machine is None or machine.status.is_lost else 0
            if lost >= LOST_LOOKS:
                return Ending.LOST
        except ProviderError as error:
            log.warning("%s; looking again", error)


async def end(provider: Provider, machine_id: str, log: Log, waits: Sequence[float] = TERMINATE_SECONDS) -> None:
    """Terminates until the provider says that the machine is terminated or not there, however often that takes.

    What the answer to a termination says is not believed, and whether it can be asked for does not depend on whether
    the machine can be looked at.
    """
    for wait in itertools.chain(waits, itertools.repeat(waits[-1])):
        try:
            machine = await provider.look(machine_id)
            if machine is None or not machine.status.is_paid:
                return
        except ProviderError as error:
            log.warning("machine %s cannot be looked at (%s)", machine_id, error)
        try:
            await provider.terminate(machine_id)
        except ProviderError as error:
            log.warning("machine %s is not terminated yet (%s); asking again", machine_id, error)
        await asyncio.sleep(wait)


def cost_usd(usd_per_hour: float, seconds: float) -> float:
    """What a machine of that price costs for that long; begun minutes count, milliseconds do not."""
    return usd_per_hour * math.ceil(round(max(seconds, 0), 3) / 60) / 60
