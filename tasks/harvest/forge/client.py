"""One request at a time to a forge, with every fault of its API that can pass waited out.

The forge's own client sends it; its retries are switched off, since none of them knows `max_wait` or shows a wait.
"""

from __future__ import annotations

import json
import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from tasks.base.errors import InputError, SourceError
from tasks.harvest.params import AnyForge

if TYPE_CHECKING:
    from requests import Response, Session

MAX_TRIES: Final = 8
"""A request that failed this often for the same kind of reason fails for good."""

_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")

logger = logging.getLogger(__name__)

OnWait = Callable[[float, str], None]
"""Is told how many seconds are left of a wait, and why."""


@dataclass(frozen=True)
class Answer:
    """A response that was understood: 200, 304, or a 404 or 410 that the caller allowed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    data: Any


class GoneError(SourceError):
    """What was listed is gone: forges hide what accounts wrote that they close."""

    def __init__(self, number: int, noun: str, forge: str = "GitHub") -> None:
        super().__init__(f"{noun} #{number} has gone from {forge} since it was listed; run again")
        self.number = number


class ForgeClient(ABC):
    """The REST interface of one repository of a forge. Counts its requests."""

    name: ClassVar[str]
    """As messages name the forge."""
    section: ClassVar[str]
    """Its section of the parameters."""
    page: ClassVar[int]
    """Items a page; the forge gives no more."""
    page_field: ClassVar[str] = "per_page"
    resets: ClassVar[str] = "x-ratelimit-reset"
    """Header that says when the limit is over, in seconds since 1970."""
    remaining: ClassVar[str] = "x-ratelimit-remaining"

    def __init__(self, server: AnyForge, repo: str, on_wait: OnWait | None, noun: str) -> None:
        self.server = server
        self.repo = repo
        self.noun = noun
        self.requests = 0
        self._on_wait = on_wait

    @abstractmethod
    def root(self) -> str:
        """Path of the repository's own resource."""

    @abstractmethod
    def request(
        self, verb: str, path: str, parameters: dict[str, Any], headers: dict[str, str], body: Any
    ) -> tuple[int, Mapping[str, str], str]:
        """Sends one request: status, headers with names in lower case, text.

        Raises:
            RequestException: there was no answer.
        """

    @abstractmethod
    def refusal(self, answer: Answer, path: str, verb: str) -> Exception:
        """What an answer means that is neither good nor passes."""

    def failed(self, status: int, verb: str, failures: int) -> Exception | None:
        """What an error of the server means where asking again does not help."""
        return None

    def get(
        self, path: str, parameters: Mapping[str, Any] | None = None, etag: str | None = None, absent: bool = False
    ) -> Answer:
        """One REST resource below the repository (`""`, `/pulls`, …).

        With `etag` possibly a 304 without data; with `absent` possibly a 404, or the 410 of what is switched off.

        Raises:
            InputError: the forge refuses: which permission or name is wrong.
            SourceError: it fails again and again, or a limit's reset lies beyond `max_wait`.
        """
        headers = {"If-None-Match": etag} if etag else {}
        return self.send("GET", f"{self.root()}{path}", dict(parameters or {}), headers, None, absent)

    def pages(
        self, path: str, parameters: Mapping[str, Any] | None = None, etag: str | None = None, absent: bool = False
    ) -> Iterator[Answer]:
        """The pages of a REST list, `page` items each.

        Only a 304 if `etag` shows that the first is as it was; only a 404 or 410 if the list may be `absent` and is.
        The next page's query is taken from the `Link` header, but never its host: the token goes to one host only.
        """
        query: dict[str, Any] | None = {self.page_field: self.page, **(parameters or {})}
        while query is not None:
            answer = self.get(path, query, etag, absent)
            etag = None
            yield answer
            query = next_query(answer.headers.get("link", ""))

    def items(self, path: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """All items of a REST list."""
        return [item for answer in self.pages(path, parameters) for item in answer.data]

    def send(
        self,
        verb: str,
        path: str,
        parameters: dict[str, Any],
        headers: dict[str, str],
        body: dict[str, Any] | None,
        absent: bool = False,
    ) -> Answer:
        """The answer to a request, asked for until it is one."""
        from requests.exceptions import RequestException

        failures = waits = 0
        while True:
            self.requests += 1
            try:
                status, fields, text = self.request(verb, path, parameters, dict(headers), body)
                answer = Answer(status, fields, None if status == 304 else _json(text, status))
            except RequestException as error:
                failures += 1
                self.again(failures, f"no answer ({type(error).__name__})", path)
                continue
            except ValueError:
                failures += 1
                self.again(failures, "truncated answer", path)
                continue
            pause = self._limit(answer, waits)
            if pause is not None:
                waits += 1
                if waits > MAX_TRIES:
                    raise SourceError(f"{self.name} still limits requests after {MAX_TRIES} waits; try again later")
                self._wait(*pause)
                continue
            if status >= 500:
                if (final := self.failed(status, verb, failures)) is not None:
                    raise final
                failures += 1
                self.again(failures, f"status {status}", path)
                continue
            if status in (200, 304) or (absent and status in (404, 410)):
                return answer
            raise self.refusal(answer, path, verb)

    def again(self, failures: int, what: str, path: str) -> None:
        """Waits before a request is made again.

        Raises:
            SourceError: it has failed `MAX_TRIES` times.
        """
        if failures >= MAX_TRIES:
            raise SourceError(
                f"{self.name}: {what} from {path}, {failures} times; run again later: what was read is kept"
            )
        logger.info("%s: %s from %s, trying again", self.name, what, path)
        time.sleep(min(0.25 * 2 ** (failures - 1), 30.0))

    def _limit(self, answer: Answer, waits: int) -> tuple[float, str] | None:
        """Seconds to wait and why, if the answer says that a limit is reached."""
        message = str(answer.data.get("message", "")).lower() if isinstance(answer.data, dict) else ""
        kinds = {error.get("type") for error in _errors(answer)}
        is_spent = answer.headers.get(self.remaining) == "0"
        limited = "RATE_LIMITED" in kinds or answer.status == 429
        limited |= answer.status == 403 and (
            "rate limit" in message or "abuse" in message or "retry-after" in answer.headers
        )
        limited |= answer.status == 403 and is_spent
        if not limited:
            return None
        after = answer.headers.get("retry-after", "")
        if _SECONDS.fullmatch(after):
            return max(float(after), 0.1), "secondary limit"
        if is_spent and (reset := answer.headers.get(self.resets)):
            # one second more: it is not clear when within that second the reset happens
            return max(float(reset) - time.time(), 0) + 1, "hourly limit"
        return self.server.secondary_wait * 2**waits, "secondary limit"

    def _wait(self, seconds: float, why: str) -> None:
        if seconds > self.server.max_wait:
            raise SourceError(
                f"{self.name}'s {why} lasts {seconds:.0f} seconds more, longer than {self.section}.max_wait"
                f" ({self.server.max_wait:.0f}); run again later: what was read is kept"
            )
        logger.info("%s's %s: waiting %.0f seconds", self.name, why, seconds)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._on_wait is not None:
                self._on_wait(left, why)
            time.sleep(min(left, 5.0))


class TokenClient(ForgeClient):
    """GitLab and Gitea: REST alone, a token of the environment, one host."""

    variable: ClassVar[str]
    """Of the environment, with the token."""
    scopes: ClassVar[str]
    """What the token must allow."""
    one: ClassVar[re.Pattern[str]]
    """Path of one thread, with its number."""

    def __init__(self, server: AnyForge, repo: str, token: str | None, on_wait: OnWait | None, noun: str) -> None:
        super().__init__(server, repo, on_wait, noun)
        self.token = token

    def refusal(self, answer: Answer, path: str, verb: str) -> Exception:
        """What an answer means that is neither good nor passes."""
        said = answer.data.get("message") or answer.data.get("error") if isinstance(answer.data, dict) else None
        told = f"{said or 'no reason given'}, status {answer.status}"
        url = self.server.address
        if answer.status == 401:
            if self.token is None:
                return InputError(f"{self.name} at {url} wants a token ({told}); set {self.variable} ({self.scopes})")
            return InputError(f"{self.variable} is not accepted by {url} ({told}); create a new token")
        if answer.status == 403:
            return InputError(f"{self.name} forbids reading {path} ({told}); the token needs {self.scopes}")
        if answer.status in (404, 410) and (gone := self.one.search(path)):
            return GoneError(int(gone[1]), self.noun, self.name)
        if answer.status in (404, 410):
            seen = "the token may not see it" if self.token else f"or it is private and {self.variable} is not set"
            return InputError(f"sources.repo: {self.name} at {url} has no repository {self.repo}, {seen} ({told})")
        return SourceError(f"{self.name} answers {answer.status} to {path}: {told}")

    def session(self) -> Session:
        """A session of requests that follows redirects on the forge's own host only."""
        from requests import Session

        def stay(response: Response, *_: Any, **__: Any) -> None:
            if response.is_redirect:
                self.stay(urljoin(response.url, response.headers["location"]))

        made = Session()
        made.hooks["response"].append(stay)
        made.headers["User-Agent"] = "rawtune"
        return made

    def stay(self, address: str) -> None:
        """Refuses to be led to another host, which would get the token.

        Raises:
            InputError: the address is on another host, or has another scheme or port.
        """
        own, other = urlsplit(self.server.address), urlsplit(address)
        if (own.scheme, own.netloc) != (other.scheme, other.netloc):
            raise InputError(
                f"{self.section}.url: {self.server.address} redirects to {other.scheme}://{other.netloc};"
                " name the address at which it answers"
            )


def next_query(link: str) -> dict[str, Any] | None:
    """The query parameters of the `next` page in a `Link` header."""
    for part in link.split(","):
        address, _, relation = part.partition(";")
        if 'rel="next"' in relation:
            return dict(parse_qsl(urlsplit(address.strip().strip("<>")).query))
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
