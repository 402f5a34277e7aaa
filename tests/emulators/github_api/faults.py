"""Faults that GitHub is known for, queued by tests; each answers one matching request instead of the real answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal[
    "primary", "secondary", "secondary-retry-after", "429", "429-retry-after", "graphql-rate-limited",
    "graphql-partial", "graphql-timeout", "502", "503", "truncated", "reset", "timeout", "401", "403", "404", "sso",
]  # fmt: skip

HTML: Final = "<!DOCTYPE html><html><head><title>Unicorn!</title></head><body>Please wait a moment.</body></html>"


@dataclass
class Fault:
    """What goes wrong, and for which requests."""

    kind: Kind
    where: str = ""
    """Only requests whose path contains this."""
    wait: float = 1
    """Seconds until the limit ends (primary), of `Retry-After`, or that a timeout lasts."""
    times: int = 1
    skip: int = 0
    """So many requests that fit are answered first."""

    def strikes(self, path: str) -> bool:
        """Whether it strikes a request: faults of GraphQL strike only there."""
        if self.where not in path or (self.kind.startswith("graphql") and not path.endswith("/graphql")):
            return False
        self.skip -= 1
        return self.skip < 0


Reply = tuple[int, dict[str, str], Any]
"""Status, headers, and body: JSON, or text for an error page."""


def reply(fault: Fault) -> Reply | None:
    """The answer of a fault; None where the server must do something else (cut off, reset, be late, hide a part)."""
    docs = {"documentation_url": "https://docs.github.com/rest"}
    secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    after = {"Retry-After": f"{fault.wait:g}"}
    answers: dict[str, Reply] = {
        "primary": (403, exhausted(fault.wait), {"message": "API rate limit exceeded for user ID 1.", **docs}),
        "secondary": (403, {}, {"message": secondary, **docs}),
        "secondary-retry-after": (403, after, {"message": secondary, **docs}),
        "429": (429, {}, {"message": secondary, **docs}),
        "429-retry-after": (429, after, {"message": secondary, **docs}),
        "graphql-rate-limited": (
            200,
            exhausted(fault.wait),
            {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}]},
        ),
        "graphql-timeout": (502, {}, {"data": None, "errors": [{"message": "Something went wrong"}]}),
        "502": (502, {"Content-Type": "text/html"}, HTML),
        "503": (503, {"Content-Type": "text/html"}, HTML),
        "401": (401, {}, {"message": "Bad credentials", **docs}),
        "403": (
            403,
            {"X-Accepted-GitHub-Permissions": "pull_requests=read"},
            {"message": "Resource not accessible by personal access token", **docs},
        ),
        "sso": (
            403,
            {"X-GitHub-SSO": "required; url=https://github.com/orgs/o/sso"},
            {"message": "Resource protected", **docs},
        ),
        "404": (404, {}, {"message": "Not Found", **docs}),
    }
    return answers.get(fault.kind)


def exhausted(wait: float) -> dict[str, str]:
    """Headers of a primary limit that ends in so many seconds."""
    return {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(time.time() + wait)),
    }
