"""The mark on a rented machine: who rented it, for which run, until when.

It lives in the machine's tags, because the provider knows no start times and a restarted worker knows nothing else.
Whatever does not carry a complete mark was not made by us and is never touched.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

PREFIX: Final = "rawtune-"


@dataclass(frozen=True)
class Claim:
    """A machine's mark. Times are Unix seconds."""

    pool: str
    server: str
    """Digest of the Prefect server's address: two servers may have a pool of the same name on one account."""
    run: UUID
    launch: str
    """Unique per launch request: finds a machine whose launch was never answered."""
    launched: int
    boot_by: int
    """Gone if its flow run has not started by then."""
    expires: int
    """Gone by then whatever happens: the budget."""
    usd_per_hour: float = 0.0
    """Price by which `expires` was reckoned; 0 if an older version did not note it."""

    @classmethod
    def make(
        cls,
        pool: str,
        api_url: str,
        run: UUID,
        hours: float,
        boot_seconds: float,
        usd_per_hour: float = 0.0,
        now: float | None = None,
    ) -> Claim:
        """A mark for a launch of now.

        Args:
            pool: of the worker.
            api_url: of its Prefect server.
            run: the flow run that the machine is for.
            hours: that the money lasts.
            boot_seconds: within which the run must have started.
            usd_per_hour: price of the offer.
            now: the provider's clock; this machine's if None.
        """
        launched = int(time.time() if now is None else now)
        expires = launched + int(hours * 3600)
        boot_by = min(launched + int(boot_seconds), expires)
        return cls(pool, server_digest(api_url), run, uuid.uuid4().hex, launched, boot_by, expires, usd_per_hour)

    def expires_at(self, usd_per_hour: float) -> float:
        """When the same money is used up at a price; a price below the one of the launch makes it last no longer."""
        if not 0 < self.usd_per_hour < usd_per_hour:
            return self.expires
        return self.launched + (self.expires - self.launched) * self.usd_per_hour / usd_per_hour

    def tags(self) -> dict[str, str]:
        """As the provider stores it (keys `[a-z][a-z0-9-:]+`, values up to 128 characters)."""
        return {f"{PREFIX}{name.replace('_', '-')}": str(value) for name, value in vars(self).items()}

    @classmethod
    def read(cls, tags: Mapping[str, str]) -> Claim | None:
        """The mark in a machine's tags; null if there is none or it is not complete."""
        try:
            return cls(
                pool=tags[f"{PREFIX}pool"],
                server=tags[f"{PREFIX}server"],
                run=UUID(tags[f"{PREFIX}run"]),
                launch=tags[f"{PREFIX}launch"],
                launched=int(tags[f"{PREFIX}launched"]),
                boot_by=int(tags[f"{PREFIX}boot-by"]),
                expires=int(tags[f"{PREFIX}expires"]),
                usd_per_hour=float(tags.get(f"{PREFIX}usd-per-hour", 0)),
            )
        except (KeyError, ValueError):
            return None


def server_digest(api_url: str) -> str:
    """Names a Prefect server in 16 characters."""
    return hashlib.sha256(api_url.rstrip("/").encode()).hexdigest()[:16]
