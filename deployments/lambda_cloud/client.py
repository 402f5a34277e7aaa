"""Lambda's public API (v1, OpenAPI 1.10.0 at docs.lambda.ai): instance types, launch, list, terminate.

One request a second and one launch every 12 s are allowed; the client keeps to that rather than run into 429. A launch
has no idempotency token, so no request that changes something is ever repeated here.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any, Final

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


class LambdaClient:
    """A `Provider` over Lambda's API. One per process, because the rate limit is the account's."""

    def __init__(
        self,
        url: str,
        key: str,
        request_seconds: float = REQUEST_SECONDS,
        launch_seconds: float = LAUNCH_SECONDS,
        timeout: float = TIMEOUT_SECONDS,
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

    async def offers(self) -> Sequence[Offer]:
        """Every type with capacity, once per region."""
        answer = await self._call("GET", "instance-types")
        return [
            Offer(name, region["name"], item["instance_type"]["price_cents_per_hour"] / 100)
            for name, item in sorted(answer.items())
            for region in item["regions_with_capacity_available"]
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
                answer = await self._call("POST", "instance-operations/launch", body)
            finally:
                self._launched = time.monotonic()
        return str(answer["instance_ids"][0])

    async def list(self) -> Sequence[Machine]:
        """Every instance of the account."""
        return [_machine(item) for item in await self._call("GET", "instances")]

    async def terminate(self, machine_id: str) -> None:
        """Asks for an instance's end; one that does not exist any more is no error."""
        try:
            await self._call("POST", "instance-operations/terminate", {"instance_ids": [machine_id]})
        except Refused as error:
            if "object-does-not-exist" not in str(error):
                raise

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
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
        if answer.is_success:
            return answer.json()["data"]
        raise _error(method, path, answer)


def _error(method: str, path: str, answer: httpx.Response) -> ProviderError:
    try:
        problem = answer.json()["error"]
        code, text = problem["code"], problem["message"]
    except (ValueError, KeyError, TypeError):
        code, text = f"http/{answer.status_code}", answer.reason_phrase
    line = f"Lambda: {method} {path}: {code} ({text})"
    if code in CAPACITY_CODES:
        return NoCapacity(line)
    if answer.status_code == RATE_STATUS:
        return NoCapacity(line)  # nothing was done, and asking again later is right
    if answer.is_server_error or code.startswith("provider/"):
        return Unclear(line)
    return Refused(line)


def _machine(item: dict[str, Any]) -> Machine:
    return Machine(
        id=item["id"],
        name=item.get("name") or "",
        status=Status(item["status"]),
        machine_type=item["instance_type"]["name"],
        region=item["region"]["name"],
        usd_per_hour=item["instance_type"]["price_cents_per_hour"] / 100,
        tags={tag["key"]: tag["value"] for tag in item.get("tags") or ()},
    )
