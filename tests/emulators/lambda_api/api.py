"""The API's routes, errors and rate limits, after OpenAPI 1.10.0 of docs.lambda.ai."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators.lambda_api.cloud import PRICES_CENTS, REGIONS, Cloud, type_document

KEY = "secret_rawtune_test"
TAG_KEY = re.compile(r"^[a-z][a-z0-9-:]+$")

INSUFFICIENT = "instance-operations/launch/insufficient-capacity"


@dataclass
class Fault:
    """What happens to the next `times` requests of a path.

    `error` answers with status and code and does nothing else; `lost` does the work and answers 502;
    `hang` does the work and answers after `seconds`, which is longer than the client waits; `page` does the work and
    answers 200 with `text`; `lie` does nothing and answers 200 with `text`.
    """

    path: str
    kind: Literal["error", "lost", "hang", "page", "lie"] = "error"
    times: int = 1
    status: int = 503
    code: str = "global/internal-error"
    seconds: float = 30.0
    text: str = "<html>Sign in to continue</html>"

    def takes(self, path: str) -> bool:
        """Whether this request meets the fault; counts it."""
        if self.times <= 0 or not path.endswith(self.path):
            return False
        self.times -= 1
        return True


@dataclass
class Limits:
    """The account's rates: seconds between two requests, and between two launches."""

    request: float = 1.0
    launch: float = 12.0
    last_request: float = 0.0
    last_launch: float = 0.0
    burst: int = 3
    """So many requests may come too early before the API refuses one."""
    early: int = 0

    def refuses(self, path: str) -> bool:
        """Whether a request of now comes too early."""
        now = time.monotonic()
        if path.endswith("/launch"):
            if now - self.last_launch < self.launch and self.last_launch:
                return True
            self.last_launch = now
        self.early = self.early + 1 if now - self.last_request < self.request else 0
        self.last_request = now
        return self.early > self.burst


def application(cloud: Cloud, faults: list[Fault], requests: list[tuple[str, str]], limits: Limits) -> Starlette:
    """The API as an ASGI application."""

    async def instance_types(request: Request) -> Response:
        return _data(
            {
                name: {
                    "instance_type": type_document(name, cloud.prices[name]),
                    "regions_with_capacity_available": [
                        {"name": region, "description": REGIONS[region]} for region in cloud.capacity.get(name, [])
                    ],
                }
                for name in PRICES_CENTS
            }
        )

    async def launch(request: Request) -> Response:
        body = await request.json()
        problem = _problem(body)
        if problem:
            return _error(400, "global/invalid-parameters", problem)
        if len(cloud.live()) >= cloud.quota:
            return _error(400, "global/quota-exceeded", "Quota exceeded.")
        if body["region_name"] not in cloud.capacity.get(body["instance_type_name"], []):
            return _error(400, INSUFFICIENT, "Not enough capacity to fulfill launch request.")
        return _data({"instance_ids": [cloud.launch(body).id]})

    async def instances(request: Request) -> Response:
        return _data([*cloud.strangers, *(instance.document() for instance in cloud.live())])

    async def instance(request: Request) -> Response:
        found = cloud.instances.get(request.path_params["id"])
        return _data(found.document()) if found else _missing()

    async def terminate(request: Request) -> Response:
        named = [cloud.instances.get(identifier) for identifier in (await request.json())["instance_ids"]]
        found = [one for one in named if one is not None and one.status != "terminated"]
        if len(found) < len(named):
            return _missing()
        for one in found:
            await asyncio.to_thread(cloud.terminate, one)
        return _data({"terminated_instances": [one.document() for one in found]})

    async def answer(request: Request, route: Any) -> Response:
        path = request.url.path
        requests.append((request.method, path))
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "global/invalid-api-key", "API key was invalid, expired, or deleted.")
        if limits.refuses(path):
            return _error(429, "global/too-many-requests", "Rate limit exceeded.")
        fault = next((fault for fault in faults if fault.takes(path)), None)
        if fault is None:
            return await route(request)
        if fault.kind == "error":
            return _error(fault.status, fault.code, "planted by the test")
        if fault.kind == "lie":
            return Response(fault.text)
        done = await route(request)
        if fault.kind == "page":
            return Response(fault.text)
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
            return done
        return _error(502, "provider/internal-unknown", "Bad gateway")

    def wrapped(route: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            return await answer(request, route)

        return endpoint

    prefix = "/api/v1"
    return Starlette(
        routes=[
            Route(f"{prefix}/instance-types", wrapped(instance_types)),
            Route(f"{prefix}/instances", wrapped(instances)),
            Route(f"{prefix}/instances/{{id}}", wrapped(instance)),
            Route(f"{prefix}/instance-operations/launch", wrapped(launch), methods=["POST"]),
            Route(f"{prefix}/instance-operations/terminate", wrapped(terminate), methods=["POST"]),
        ]
    )


def _problem(body: dict[str, Any]) -> str | None:
    """What a launch request's schema forbids."""
    if body.get("instance_type_name") not in PRICES_CENTS:
        return "instance_type_name: unknown"
    if body.get("region_name") not in REGIONS:
        return "region_name: unknown"
    if len(body.get("ssh_key_names", [])) != 1:
        return "ssh_key_names: exactly one SSH key must be specified"
    if len(body.get("name", "")) > 64:
        return "name: longer than 64"
    if len(body.get("user_data", "")) > 1_000_000:
        return "user_data: larger than 1MB"
    for tag in body.get("tags", []):
        if not TAG_KEY.match(tag["key"]) or len(tag["key"]) > 55 or len(tag["value"]) > 128:
            return f"tags: {tag['key']}"
    image = body.get("image")
    if image is not None and set(image) not in ({"family"}, {"id"}):
        return "image: family or id"
    return None


def _data(value: Any) -> Response:
    return JSONResponse({"data": value})


def _missing() -> Response:
    return _error(404, "global/object-does-not-exist", "Specified instance does not exist.")


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "suggestion": "Try again."}}, status)
