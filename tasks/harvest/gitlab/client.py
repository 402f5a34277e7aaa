"""One request at a time to GitLab through python-gitlab.

python-gitlab 8.6.0 alone waits for a 429 as long as `Retry-After` says, without a bound and without a word, and not at
all for a transient error; so its own retries are switched off. The token travels as `Authorization`, which no redirect
takes to another host, and not as `PRIVATE-TOKEN`, which requests would pass on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tasks.harvest.credentials import token_of
from tasks.harvest.forge.client import OnWait, TokenClient
from tasks.harvest.params import GitlabParams


class GitlabClient(TokenClient):
    """GitLab's REST interface, version 4."""

    name = "GitLab"
    section = "gitlab"
    page = 100
    resets, remaining = "ratelimit-reset", "ratelimit-remaining"
    variable = "GITLAB_TOKEN"
    scopes = "the scopes read_api and read_repository"
    one = re.compile(r"/(?:merge_requests|issues)/([0-9]{1,9})")

    def __init__(self, server: GitlabParams, repo: str, on_wait: OnWait | None, noun: str) -> None:
        import gitlab

        super().__init__(server, repo, token_of(server), on_wait, noun)
        self._last: Any = None
        session = self.session()
        session.hooks["response"].append(self._keep)
        self._gitlab = gitlab.Gitlab(
            server.address,
            oauth_token=self.token,
            timeout=server.timeout,
            session=session,
            user_agent="rawtune",
            keep_base_url=True,
        )

    def root(self) -> str:
        """Path of the project, which is named by its path."""
        return f"/projects/{quote(self.repo, safe='')}"

    def request(
        self, verb: str, path: str, parameters: dict[str, Any], headers: dict[str, str], body: Any
    ) -> tuple[int, Mapping[str, str], str]:
        """Sends one request."""
        from gitlab.exceptions import GitlabAuthenticationError, GitlabHttpError

        try:
            found = self._gitlab.http_request(
                verb.lower(), path, query_data=parameters, extra_headers=headers, obey_rate_limit=False
            )
        except (GitlabHttpError, GitlabAuthenticationError):  # it says no more than what was answered
            found = self._last
        fields = {name.lower(): value for name, value in found.headers.items()}
        return found.status_code, fields, found.content.decode("utf-8", "replace")

    def _keep(self, response: Any, *_: Any, **__: Any) -> None:
        self._last = response
