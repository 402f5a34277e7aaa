"""What a provider of rented machines must be able to do. Lambda is the one that there is (`client.py`).

Another one (RunPod, Vast, SkyPilot) needs tags on machines and a start script, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tasks.base.errors import RawtuneError


class ProviderError(RawtuneError):
    """The provider did not do what was asked; whether it did it in part is said by the subclass."""


class NoCapacity(ProviderError):
    """Nothing was launched: no such machine is free in that region now."""


class Refused(ProviderError):
    """Nothing was launched and asking again will not help: key, quota, billing, a parameter."""


class Unclear(ProviderError):
    """The answer was lost or cannot be read: a launch may have happened and must be looked for by its tag."""


class Status(StrEnum):
    """What a machine is doing, in the provider's own words as Lambda has them."""

    BOOTING = "booting"
    ACTIVE = "active"
    UNHEALTHY = "unhealthy"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    PREEMPTED = "preempted"
    UNKNOWN = "unknown"
    """A word that this version does not know, or none: taken as at work and paid for."""

    @classmethod
    def of(cls, word: object) -> Status:
        """The status of that name."""
        return next((status for status in cls if status == word), cls.UNKNOWN)

    @property
    def is_lost(self) -> bool:
        """Whether no work comes from it any more."""
        return self in (Status.UNHEALTHY, Status.TERMINATING, Status.TERMINATED, Status.PREEMPTED)

    @property
    def is_paid(self) -> bool:
        """Whether it may still cost money."""
        return self is not Status.TERMINATED


@dataclass(frozen=True)
class Offer:
    """A machine type that can be had in a region now."""

    machine_type: str
    region: str
    usd_per_hour: float


@dataclass(frozen=True)
class Order:
    """A machine to be launched."""

    offer: Offer
    name: str
    tags: Mapping[str, str]
    image_family: str
    ssh_key: str
    file_systems: tuple[str, ...] = ()
    start_script: str = field(repr=False, default="")
    """Run as root at first boot. Holds secrets, so it never reaches a log."""


@dataclass(frozen=True)
class Machine:
    """A machine as the provider lists it."""

    id: str
    name: str
    status: Status
    machine_type: str
    region: str
    usd_per_hour: float
    """The price of now; 0 if the provider does not say."""
    tags: Mapping[str, str]


class Provider(Protocol):
    """The calls. Each may raise `Unclear`; none repeats by itself what changes something."""

    def now(self) -> float:
        """The provider's clock, in Unix seconds: every deadline of a machine is told and checked by it."""
        ...

    async def offers(self) -> Sequence[Offer]:
        """Every machine type that has capacity now, once per region, at its price of now."""

    async def launch(self, order: Order) -> str:
        """Launches one machine and returns its id.

        Raises:
            NoCapacity, Refused, Unclear: see there.
        """

    async def list(self) -> Sequence[Machine]:
        """Every machine of the account, whoever made it; one whose entry cannot be read hides no other."""

    async def look(self, machine_id: str) -> Machine | None:
        """One machine; None if the account has none of that id."""

    async def terminate(self, machine_id: str) -> None:
        """Asks for a machine's end; it is over only when `look` says so."""
