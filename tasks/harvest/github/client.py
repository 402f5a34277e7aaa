"""One request at a time to GitHub through PyGithub, with every fault of its API that can pass waited out.

PyGithub 2.10.0 alone gives up at once on a 429 without `Retry-After`, on GraphQL's `RATE_LIMITED`, on partial data and
on truncated JSON, and pauses a second before each GraphQL query, so its own retries and pauses are switched off here.
Requests are serial, as GitHub asks (docs.github.com, "Best practices for using the REST API").
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tasks.base.errors import InputError, SourceError
from tasks.harvest.credentials import github_token
from tasks.harvest.git.repository import NUMBER
from tasks.harvest.params import GithubParams

MAX_TRIES: Final = 8
"""A request that failed this often for the same kind of reason fails for good."""

PERMISSIONS: Final = "contents=read, pull_requests=read, issues=read, discussions=read"
"""What a fine-grained token must allow."""

PAGE: Final = 100
"""Items a REST page; GitHub gives no more."""

_PART: Final = re.compile(r"repository/p([0-9]{1,9})")
"""Where an error of GraphQL says that it strikes one thread (see `graphql.thread_query`)."""
_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_PULL: Final = re.compile(r"/(?:pulls|issues)/([0-9]{1,9})")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A response that was understood: 200, 304, or a 404 or 410 that the caller allowed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    data: Any


class UnavailableError(SourceError):
    """There is no GraphQL here: an Enterprise server without it, or no token."""


class QueryTooLargeError(SourceError):
    """GraphQL cannot answer this query within its own limits; a smaller one may do."""


class GoneError(SourceError):
    """A pull request, issue or discussion that was listed is gone: GitHub hides those of accounts that it closes."""

    def __init__(self, number: int, noun: str) -> None:
        super().__init__(f"{noun} #{number} has gone from GitHub since it was listed; run again")
        self.number = number


class Client:
    """GitHub's REST and GraphQL interfaces. Counts its requests."""

    def __init__(
        self,
        github: GithubParams,
        repo: str,
        on_wait: Callable[[float, str], None] | None = None,
        noun: str = "pull request",
    ) -> None:
        import github as pygithub

        self.github = github
        self.noun = noun
        self.repo = repo
        self.token = github_token(github)
        self.requests = 0
        self._partial = 0
        self._on_wait = on_wait
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

    def get(
        self, path: str, parameters: Mapping[str, Any] | None = None, etag: str | None = None, absent: bool = False
    ) -> Answer:
        """One REST resource below the repository (`""`, `/pulls`, …).

        With `etag` possibly a 304 without data; with `absent` possibly a 404, or the 410 of what is switched off.

        Raises:
            InputError: GitHub refuses: which permission or name is wrong.
            SourceError: it fails again and again, or a limit's reset lies beyond `max_wait`.
        """
        headers = {"If-None-Match": etag} if etag else {}
        return self._send("GET", f"/repos/{self.repo}{path}", dict(parameters or {}), headers, None, absent)

    def pages(
        self, path: str, parameters: Mapping[str, Any] | None = None, etag: str | None = None, absent: bool = False
    ) -> Iterator[Answer]:
        """The pages of a REST list, `PAGE` items each; only a 304 if `etag` shows that the first is as it was, only a
        404 or 410 if the list may be `absent` and is.

        The next page's query is taken from the `Link` header, but never its host: the token goes to one host only.
        """
        query: dict[str, Any] | None = {"per_page": PAGE, **(parameters or {})}
        while query is not None:
            answer = self.get(path, query, etag, absent)
            etag = None
            yield answer
            query = next_query(answer.headers.get("link", ""))

    def items(self, path: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """All items of a REST list."""
        return [item for answer in self.pages(path, parameters) for item in answer.data]

    def query(self, text: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Data of a GraphQL query and the errors that came with it (of parts of it, such as a timeout).

        Raises:
            UnavailableError: there is no GraphQL here.
            QueryTooLargeError: it failed twice in the way that too large queries fail.
            InputError: GitHub refuses.
            SourceError: a limit's reset lies beyond `max_wait`.
        """
        sent = {"query": text, "variables": dict(variables)}
        answer = self._send("POST", self._requester.graphql_url, {}, {}, sent)
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
        self._again(self._partial, f"partial data ({said})", "GraphQL")

    def _send(
        self,
        verb: str,
        path: str,
        parameters: dict[str, Any],
        headers: dict[str, str],
        body: dict[str, Any] | None,
        absent: bool = False,
    ) -> Answer:
        from requests.exceptions import RequestException

        failures = waits = 0
        while True:
            self.requests += 1
            try:
                status, fields, text = self._requester.requestJson(verb, path, parameters, dict(headers), body)
                answer = Answer(status, fields, None if status == 304 else _json(text, status))
            except RequestException as error:
                failures += 1
                self._again(failures, f"no answer ({type(error).__name__})", path)
                continue
            except RuntimeError as error:  # PyGithub's word for a redirect to another host
                raise InputError(f"github.api_url: {error}") from error
            except ValueError:
                failures += 1
                self._again(failures, "truncated answer", path)
                continue
            pause = self._limit(answer, waits)
            if pause is not None:
                waits += 1
                if waits > MAX_TRIES:
                    raise SourceError(f"GitHub still limits requests after {MAX_TRIES} waits; try again later")
                self._wait(*pause)
                continue
            if status >= 500:
                if verb == "POST" and failures:  # GraphQL's own time limit of 10 seconds shows as 502
                    raise QueryTooLargeError(f"GitHub answers {status} to a GraphQL query")
                failures += 1
                self._again(failures, f"status {status}", path)
                continue
            if status in (200, 304) or (absent and status in (404, 410)):
                return answer
            raise self._refusal(answer, path, verb)

    def _limit(self, answer: Answer, waits: int) -> tuple[float, str] | None:
        """Seconds to wait and why, if the answer says that a limit is reached."""
        message = str(answer.data.get("message", "")).lower() if isinstance(answer.data, dict) else ""
        kinds = {error.get("type") for error in _errors(answer)}
        limited = "RATE_LIMITED" in kinds or answer.status == 429
        limited |= answer.status == 403 and (
            "rate limit" in message or "abuse" in message or "retry-after" in answer.headers
        )
        limited |= answer.status == 403 and answer.headers.get("x-ratelimit-remaining") == "0"
        if not limited:
            return None
        after = answer.headers.get("retry-after", "")
        if _SECONDS.fullmatch(after):
            return max(float(after), 0.1), "secondary limit"
        if answer.headers.get("x-ratelimit-remaining") == "0" and (reset := answer.headers.get("x-ratelimit-reset")):
            # one second more: it is not clear when within that second the reset happens
            return max(float(reset) - time.time(), 0) + 1, "hourly limit"
        return self.github.secondary_wait * 2**waits, "secondary limit"

    def _wait(self, seconds: float, why: str) -> None:
        if seconds > self.github.max_wait:
            raise SourceError(
                f"GitHub's {why} lasts {seconds:.0f} seconds more, longer than github.max_wait"
                f" ({self.github.max_wait:.0f}); run again later: what was read is kept"
            )
        logger.info("GitHub's %s: waiting %.0f seconds", why, seconds)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._on_wait is not None:
                self._on_wait(left, why)
            time.sleep(min(left, 5.0))

    def _again(self, failures: int, what: str, path: str) -> None:
        if failures >= MAX_TRIES:
            raise SourceError(f"GitHub: {what} from {path}, {failures} times; run again later: what was read is kept")
        logger.info("GitHub: %s from %s, trying again", what, path)
        time.sleep(min(0.25 * 2 ** (failures - 1), 30.0))

    def _refusal(self, answer: Answer, path: str, verb: str) -> Exception:
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


def next_query(link: str) -> dict[str, Any] | None:
    """The query parameters of the `next` page in a `Link` header."""
    for part in link.split(","):
        address, _, relation = part.partition(";")
        if 'rel="next"' in relation:
            return dict(parse_qsl(urlsplit(address.strip().strip("<>")).query))
    return None


def last_page(link: str) -> int | None:
    """The number of the last page that a `Link` header names, if it does."""
    for part in link.split(","):
        address, _, relation = part.partition(";")
        if 'rel="last"' in relation:
            page = dict(parse_qsl(urlsplit(address.strip().strip("<>")).query)).get("page", "")
            return int(page) if NUMBER.fullmatch(page) else None
    return None


def _json(text: str, status: int) -> Any:
    """The parsed body; an error page in HTML is no JSON and needs none.

    Raises:
        ValueError: a good status with a body that is not JSON: it was cut off.
    """
    try:
        return json.loads(text)
    except ValueError:
        if status < 300:
            raise
        return {}


def _errors(answer: Answer) -> list[dict[str, Any]]:
    found = answer.data.get("errors") if isinstance(answer.data, dict) else None
    return [error for error in found if isinstance(error, dict)] if isinstance(found, list) else []
