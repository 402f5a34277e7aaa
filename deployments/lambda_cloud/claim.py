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

    @classmethod
    def make(cls, pool: str, api_url: str, run: UUID, hours: float, boot_seconds: float) -> Claim:
        """A mark for a launch of now."""
        now = int(time.time())
        expires = now + int(hours * 3600)
        return cls(
            pool, server_digest(api_url), run, uuid.uuid4().hex, now, min(now + int(boot_seconds), expires), expires
        )

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
            )
        except (KeyError, ValueError):
            return None


def server_digest(api_url: str) -> str:
    """Names a Prefect server in 16 characters."""
    return hashlib.sha256(api_url.rstrip("/").encode()).hexdigest()[:16]
