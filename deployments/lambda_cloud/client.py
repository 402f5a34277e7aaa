"""Lambda's public API (v1, OpenAPI 1.10.0 at docs.lambda.ai): instance types, launch, list, look, terminate.

One request a second and one launch every 12 s are allowed; the client keeps to that rather than run into 429. A launch
has no idempotency token, so no request that changes something is ever repeated here.

Answers are read entry by entry, because a list holds machines of everybody who shares the account: what is odd about
one of them must not hide another. An answer that is no answer (a proxy's page, an empty object) is `Unclear`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from deployments.lambda_cloud.provider import Machine, NoCapacity, Offer, Order, ProviderError, Refused, Status, Unclear
from tasks.base.errors import InputError

URL_VARIABLE: Final = "LAMBDA_API_URL"
KEY_VARIABLE: Final = "LAMBDA_API_KEY"

REQUEST_SECONDS: Final = 1.05
LAUNCH_SECONDS: Final = 12.1
"""https://docs.lambda.ai/api/cloud, "Rate limits", plus a margin for clocks."""

TIMEOUT_SECONDS: Final = 60.0

CAPACITY_CODES: Final = ("instance-operations/launch/insufficient-capacity",)

RATE_STATUS: Final = 429

MOST_CENTS: Final = 10_000_000
"""An hour of nothing costs more; what does is no price."""

GONE: Final = "object-does-not-exist"

logger = logging.getLogger(__name__)

T = TypeVar("T")


class LambdaClient:
    """A `Provider` over Lambda's API. One per process, because the rate limit is the account's."""

    def __init__(
        self,
        url: str,
        key: str,
        request_seconds: float = REQUEST_SECONDS,
        launch_seconds: float = LAUNCH_SECONDS,
        timeout: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._request_seconds = request_seconds
        self._launch_seconds = launch_seconds
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._launch_turn = asyncio.Lock()
        self._asked = 0.0
        self._launched = 0.0
        self._clock = clock
        self._ahead: float | None = None
        """Seconds by which the provider's clock is ahead of this process's monotonic one."""

    @classmethod
    def from_environment(cls) -> LambdaClient:
        """The client that LAMBDA_API_URL and LAMBDA_API_KEY describe.

        Raises:
            InputError: one of them is not set.
        """
        url, key = os.environ.get(URL_VARIABLE, ""), os.environ.get(KEY_VARIABLE, "")
        for name, value in ((URL_VARIABLE, url), (KEY_VARIABLE, key)):
            if not value:
                raise InputError(f"{name} is not set; see docs/operations.md for what a Lambda worker needs")
        return cls(url, key)

    def now(self) -> float:
        """The `Date` of the latest answer, carried on; this machine's clock before there is one."""
        return self._clock() if self._ahead is None else time.monotonic() + self._ahead

    async def offers(self) -> Sequence[Offer]:
        """Every type with capacity and a price, once per region."""
        answer = await self._call("GET", "instance-types", dict)
        return [
            Offer(name, region, usd)
            for name, item in sorted(answer.items())
            if (usd := _usd_per_hour(item)) > 0
            for entry in _entries(_get(item, "regions_with_capacity_available"))
            if (region := _name(entry))
        ]

    async def launch(self, order: Order) -> str:
        """Launches one instance."""
        body = {
            "region_name": order.offer.region,
            "instance_type_name": order.offer.machine_type,
            "ssh_key_names": [order.ssh_key],
            "name": order.name[:64],
            "image": {"family": order.image_family},
            "user_data": order.start_script,
            "tags": [{"key": key, "value": value} for key, value in sorted(order.tags.items())],
            "file_system_names": list(order.file_systems),
        }
        async with self._launch_turn:
            await asyncio.sleep(self._launched + self._launch_seconds - time.monotonic())
            try:
                answer = await self._call("POST", "instance-operations/launch", dict, body)
            finally:
                self._launched = time.monotonic()
        launched = _entries(answer.get("instance_ids"))
        if not launched or not isinstance(launched[0], str):
            raise Unclear("Lambda: POST instance-operations/launch: an answer without an instance")
        return launched[0]

    async def list(self) -> Sequence[Machine]:
        """Every instance of the account that has an id."""
        items = await self._call("GET", "instances", list)
        machines = [machine for item in items if (machine := _machine(item)) is not None]
        if len(machines) < len(items):
            logger.warning("Lambda lists %d instances without an id", len(items) - len(machines))
        return machines

    async def look(self, machine_id: str) -> Machine | None:
        """One instance, whatever the list has of others."""
        try:
            item = await self._call("GET", f"instances/{quote(machine_id, safe='')}", dict)
        except Refused as error:
            if GONE in str(error):
                return None
            raise
        machine = _machine(item)
        if machine is None or machine.id != machine_id:
            raise Unclear(f"Lambda: GET instances/{machine_id}: an answer about another instance")
        return machine

    async def terminate(self, machine_id: str) -> None:
        """Asks for an instance's end; one that does not exist any more is no error."""
        try:
            await self._call("POST", "instance-operations/terminate", dict, {"instance_ids": [machine_id]})
        except Refused as error:
            if GONE not in str(error):
                raise

    async def _call(self, method: str, path: str, shape: type[T], body: dict[str, Any] | None = None) -> T:
        async with self._turn:
            await asyncio.sleep(self._asked + self._request_seconds - time.monotonic())
            try:
                async with httpx.AsyncClient(timeout=self._timeout) as http:
                    answer = await http.request(
                        method, f"{self.url}/{path}", json=body, headers={"Authorization": f"Bearer {self._key}"}
                    )
            except httpx.HTTPError as error:
                raise Unclear(f"Lambda: {method} {path} got no answer ({type(error).__name__})") from error
            finally:
                self._asked = time.monotonic()
        self._tell_time(answer.headers.get("Date", ""))
        if not answer.is_success:
            raise _error(method, path, answer)
        try:
            data = answer.json()["data"]
        except (ValueError, KeyError, TypeError, RecursionError):
            data = None
        if not isinstance(data, shape):
            raise Unclear(f"Lambda: {method} {path}: status {answer.status_code} with an answer that is none")
        return data

    def _tell_time(self, date: str) -> None:
        try:
            self._ahead = parsedate_to_datetime(date).timestamp() - time.monotonic()
        except (ValueError, OverflowError):
            return  # no date, or none that can be read: the latest one is carried on


def _error(method: str, path: str, answer: httpx.Response) -> ProviderError:
    try:
        problem = answer.json()["error"]
        code, text = str(problem["code"]), str(problem["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        code, text = f"http/{answer.status_code}", answer.reason_phrase
    line = f"Lambda: {method} {path}: {code} ({text})"
    if code in CAPACITY_CODES:
        return NoCapacity(line)
    if answer.status_code == RATE_STATUS:
        return NoCapacity(line)  # nothing was done, and asking again later is right
    if answer.is_server_error or answer.is_redirect or code.startswith("provider/"):
        return Unclear(line)
    return Refused(line)


def _machine(item: object) -> Machine | None:
    """What can be read of an entry; None only if it has no id by which anything could be asked of it."""
    identifier = _get(item, "id")
    if not isinstance(identifier, str) or not identifier:
        return None
    tags = ((_get(tag, "key"), _get(tag, "value")) for tag in _entries(_get(item, "tags")))
    return Machine(
        id=identifier,
        name=_name(item),
        status=Status.of(_get(item, "status")),
        machine_type=_name(_get(item, "instance_type")),
        region=_name(_get(item, "region")),
        usd_per_hour=_usd_per_hour(item),
        tags={key: value for key, value in tags if isinstance(key, str) and isinstance(value, str)},
    )


def _get(item: object, name: str) -> object:
    return item.get(name) if isinstance(item, dict) else None


def _name(item: object) -> str:
    name = _get(item, "name")
    return name if isinstance(name, str) else ""


def _entries(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _usd_per_hour(item: object) -> float:
    """Price of an instance or a type; 0 if it has none that can be one."""
    cents = _get(_get(item, "instance_type"), "price_cents_per_hour")
    if isinstance(cents, bool) or not isinstance(cents, int | float) or not 0 < cents < MOST_CENTS:
        return 0.0
    return cents / 100
