"""One request at a time to Gitea or Forgejo over their documented API.

No client on PyPI serves (2026-11): py-gitea 0.2.10 knows neither reviews nor timelines, giteapy and gitea-client are of
2020, and pyforgejo 2.0.7, generated, reads a `.env` file of the working directory into the environment on import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tasks.harvest.credentials import token_of
from tasks.harvest.forge.client import OnWait, TokenClient
from tasks.harvest.params import GiteaParams


class GiteaClient(TokenClient):
    """Gitea's REST interface, version 1."""

    name = "Gitea"
    section = "gitea"
    page = 50
    page_field = "limit"
    variable = "GITEA_TOKEN"
    scopes = "the scopes read:repository and read:issue"
    one = re.compile(r"/(?:pulls|issues)/([0-9]{1,9})")

    def __init__(self, server: GiteaParams, repo: str, on_wait: OnWait | None, noun: str) -> None:
        super().__init__(server, repo, token_of(server), on_wait, noun)
        self._session = self.session()
        if self.token:  # not as a header, whose place that would take which .netrc says of the host
            self._session.auth = self._authorize

    def root(self) -> str:
        """Path of the repository."""
        return f"/repos/{self.repo}"

    def request(
        self, verb: str, path: str, parameters: dict[str, Any], headers: dict[str, str], body: Any
    ) -> tuple[int, Mapping[str, str], str]:
        """Sends one request."""
        address = f"{self.server.address}/api/v1{path}"
        found = self._session.request(verb, address, params=parameters, headers=headers, timeout=self.server.timeout)
        fields = {name.lower(): value for name, value in found.headers.items()}
        return found.status_code, fields, found.content.decode("utf-8", "replace")

    def _authorize(self, request: Any) -> Any:
        request.headers["Authorization"] = f"token {self.token}"
        return request
