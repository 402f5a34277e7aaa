"""One request to the emulator: its body, who makes it, and what that account may see and change."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from tests.emulators.hub_api.repositories import Account, Hub, HubError, Repository


class Call:
    """One request: its body, who makes it, and the Hub it is made to."""

    def __init__(self, hub: Hub, url: str, request: Request, body: bytes) -> None:
        self.hub, self.url, self.request, self.body = hub, url, request, body
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.account: Account | None = hub.accounts.get(token)
        if token and self.account is None:
            raise HubError(401, "", "Invalid username or password.")

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def repository(self, kind: str, repo_id: str) -> Repository:
        """A repository to read."""
        return self.hub.find(kind, repo_id, self.account)

    def writable(self, kind: str, repo_id: str) -> Repository:
        """A repository to write."""
        found = self.repository(kind, repo_id)
        if self.account is None or not self.account.may_write(repo_id):
            raise HubError(403, "", "Forbidden: you must use a write token to upload to a repository.")
        return found
