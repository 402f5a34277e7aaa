"""One request at a time to GitHub through PyGithub, with every fault of its API that can pass waited out.

PyGithub 2.10.0 alone gives up at once on a 429 without `Retry-After`, on GraphQL's `RATE_LIMITED`, on partial data and
on truncated JSON, and pauses a second before each GraphQL query, so its own retries and pauses are switched off here.
Requests are serial, as GitHub asks (docs.github.com, "Best practices for using the REST API").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tasks.base.errors import InputError, SourceError
from tasks.harvest.credentials import token_of
from tasks.harvest.forge.client import Answer, ForgeClient, GoneError, OnWait
from tasks.harvest.git.repository import NUMBER
from tasks.harvest.params import GithubParams

PERMISSIONS: Final = "contents=read, pull_requests=read, issues=read, discussions=read"
"""What a fine-grained token must allow."""

PAGE: Final = 100
"""Items a REST page; GitHub gives no more."""

_PART: Final = re.compile(r"repository/p([0-9]{1,9})")
"""Where an error of GraphQL says that it strikes one thread (see `graphql.thread_query`)."""
_PULL: Final = re.compile(r"/(?:pulls|issues)/([0-9]{1,9})")


class UnavailableError(SourceError):
    """There is no GraphQL here: an Enterprise server without it, or no token."""


class QueryTooLargeError(SourceError):
    """GraphQL cannot answer this query within its own limits; a smaller one may do."""


class Client(ForgeClient):
    """GitHub's REST and GraphQL interfaces. Counts its requests."""

    name = "GitHub"
    section = "github"
    page = PAGE

    def __init__(
        self,
        github: GithubParams,
        repo: str,
        on_wait: OnWait | None = None,
        noun: str = "pull request",
    ) -> None:
        import github as pygithub

        super().__init__(github, repo, on_wait, noun)
        self.github = github
        self.token = token_of(github)
        self._partial = 0
        self._requester = pygithub.Github(
            auth=pygithub.Auth.Token(self.token) if self.token else None,
            base_url=github.api_url.rstrip("/"),
            timeout=int(github.timeout) or 1,
            user_agent="rawtune",
            per_page=PAGE,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        ).requester

    def query(self, text: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Data of a GraphQL query and the errors that came with it (of parts of it, such as a timeout).

        Raises:
            UnavailableError: there is no GraphQL here.
            QueryTooLargeError: it failed twice in the way that too large queries fail.
            InputError: GitHub refuses.
            SourceError: a limit's reset lies beyond `max_wait`.
        """
        sent = {"query": text, "variables": dict(variables)}
        answer = self.send("POST", self._requester.graphql_url, {}, {}, sent)
        return answer.data.get("data") or {}, answer.data.get("errors") or []

    def judge(self, errors: list[dict[str, Any]]) -> None:
        """Says what the errors of a GraphQL answer mean; returns if asking again, for less, may help.

        Raises:
            InputError: the repository is not there or the token may not read it.
            GoneError: one of the pull requests is not there.
            UnavailableError: this server does not know what the query asks for.
            SourceError: parts have been missing again and again.
        """
        kinds = {str(error.get("type") or (error.get("extensions") or {}).get("code") or "") for error in errors}
        said = "; ".join(str(error.get("message")) for error in errors[:2]) or "no repository in the answer"
        for error in errors:
            if error.get("type") == "NOT_FOUND" and (
                gone := _PART.fullmatch("/".join(map(str, error.get("path") or [])))
            ):
                raise GoneError(int(gone[1]), self.noun)
        if "NOT_FOUND" in kinds:
            raise InputError(
                f"sources.repo: GitHub has no repository {self.repo}, or the token may not see it ({said})"
            )
        if kinds & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
            raise InputError(
                f"GitHub forbids reading {self.noun}s of {self.repo} ({said}); the token needs {PERMISSIONS}"
            )
        if kinds & {"undefinedField", "argumentNotAccepted", "undefinedType"} or "annot query field" in said:
            raise UnavailableError(f"GitHub's GraphQL at {self.github.api_url} does not know a field ({said})")
        self._partial += 1
        self.again(self._partial, f"partial data ({said})", "GraphQL")

    def root(self) -> str:
        """Path of the repository's own resource."""
        return f"/repos/{self.repo}"

    def request(
        self, verb: str, path: str, parameters: dict[str, Any], headers: dict[str, str], body: Any
    ) -> tuple[int, Mapping[str, str], str]:
        """Sends one request."""
        try:
            return self._requester.requestJson(verb, path, parameters, headers, body)
        except RuntimeError as error:  # PyGithub's word for a redirect to another host
            raise InputError(f"github.api_url: {error}") from error

    def failed(self, status: int, verb: str, failures: int) -> Exception | None:
        """GraphQL's own time limit of 10 seconds shows as 502."""
        return (
            QueryTooLargeError(f"GitHub answers {status} to a GraphQL query") if verb == "POST" and failures else None
        )

    def refusal(self, answer: Answer, path: str, verb: str) -> Exception:
        """What an answer means that is neither good nor passes."""
        said = str(answer.data.get("message") or answer.status) if isinstance(answer.data, dict) else str(answer.status)
        if verb == "POST" and (answer.status in (400, 404, 405, 501) or self.token is None):
            return UnavailableError(f"GitHub has no GraphQL at {self.github.api_url} ({answer.status})")
        if answer.status == 401:
            return InputError(f"GITHUB_TOKEN is not accepted by {self.github.api_url} ({said}); create a new token")
        if answer.status == 403:
            needed = answer.headers.get("x-accepted-github-permissions") or PERMISSIONS
            sso = (
                "; authorise the token for the organisation's single sign-on"
                if "x-github-sso" in answer.headers
                else ""
            )
            return InputError(f"GitHub forbids reading {path} ({said}); the token needs the permissions {needed}{sso}")
        if answer.status in (404, 410) and (gone := _PULL.search(path)):
            return GoneError(int(gone[1]), self.noun)
        if answer.status in (301, 302, 307, 404, 410, 451):
            seen = "the token may not see it" if self.token else "or it is private and GITHUB_TOKEN is not set"
            return InputError(
                f"sources.repo: GitHub has no repository {self.repo}, {seen} (status {answer.status} from {path})"
            )
        return SourceError(f"GitHub answers {answer.status} to {path}: {said}")


def last_page(link: str) -> int | None:
    """The number of the last page that a `Link` header names, if it does."""
    for part in link.split(","):
        address, _, relation = part.partition(";")
        if 'rel="last"' in relation:
            page = dict(parse_qsl(urlsplit(address.strip().strip("<>")).query)).get("page", "")
            return int(page) if NUMBER.fullmatch(page) else None
    return None
