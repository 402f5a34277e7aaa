"""The Hub's HTTP API. Paths are split before they are unquoted, because branch names contain slashes.

Requests and answers as seen from huggingface_hub 1.33 and datasets 4.8.5; the client's own checks are the
specification.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators.hub_api.call import Call
from tests.emulators.hub_api.faults import CutConnection, Fault
from tests.emulators.hub_api.reading import commits, info, paths_info, refs, resolve, tree, whoami
from tests.emulators.hub_api.repositories import Hub, HubError
from tests.emulators.hub_api.writing import (
    branch,
    commit_files,
    create_repo,
    lfs_batch,
    preupload,
    tag,
    upload,
    validate_yaml,
)

Answer = Response | CutConnection
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]


def route(call: Call, parts: list[str]) -> Response:
    """Finds the handler of a path that was split at slashes and unquoted part by part."""
    match parts:
        case ["api", "whoami-v2"]:
            return whoami(call)
        case ["api", "validate-yaml"]:
            return validate_yaml(call)
        case ["api", "repos", "create"]:
            return create_repo(call)
        case ["upload", oid]:
            return upload(call, oid)
        case ["api", ("models" | "datasets") as kind, owner, name, *rest]:
            return _api(call, kind, f"{owner}/{name}", rest)
        case ["datasets", owner, name, "info", "lfs", "objects", "batch"]:
            return lfs_batch(call, "datasets", f"{owner}/{name.removesuffix('.git')}")
        case ["datasets", owner, name, "resolve", revision, *path]:
            return resolve(call, "datasets", f"{owner}/{name}", revision, *path)
        case [owner, name, "info", "lfs", "objects", "batch"]:
            return lfs_batch(call, "models", f"{owner}/{name.removesuffix('.git')}")
        case [owner, name, "resolve", revision, *path]:
            return resolve(call, "models", f"{owner}/{name}", revision, *path)
    raise HubError(404, "", f"no such endpoint: {'/'.join(parts)}")


HANDLERS: dict[str, Callable[..., Response]] = {
    "branch": branch,
    "commit": commit_files,
    "commits": commits,
    "paths-info": paths_info,
    "preupload": preupload,
    "refs": refs,
    "revision": info,
    "tag": tag,
    "tree": tree,
}


def _api(call: Call, kind: str, repo_id: str, rest: list[str]) -> Response:
    if not rest:
        return info(call, kind, repo_id)
    handler = HANDLERS.get(rest[0])
    if handler is None:
        raise HubError(404, "", f"no such endpoint: {rest[0]}")
    return handler(call, kind, repo_id, *rest[1:])


def application(hub: Hub, url: str, faults: list[Fault], requests: list[tuple[str, str]]) -> Starlette:
    """The ASGI application; planted faults act around the handler."""

    async def answer(request: Request) -> Answer:
        raw = request.scope["raw_path"].decode().split("?")[0]
        requests.append((request.method, raw))
        fault = next((planted for planted in faults if planted.takes(request.method, raw)), None)
        body = await request.body()
        if fault is not None:
            fault.reached.set()
            if fault.kind == "status":
                return JSONResponse({"error": "planted"}, fault.status, {"Retry-After": "0"})
            if fault.kind in ("corrupt", "truncate"):
                body = fault.damage(body)
            if fault.kind == "hang_before":
                await fault.hang()
            if fault.kind in ("drop_before", "hang_before"):
                return CutConnection()
        try:
            response = route(Call(hub, url, request, body), [unquote(part) for part in raw.strip("/").split("/")])
        except HubError as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            response = JSONResponse({"error": error.message, **error.body}, error.status, headers)
        if fault is not None and fault.kind == "hang_after":
            await fault.hang()
        return CutConnection() if fault is not None and fault.kind in ("drop_after", "hang_after") else response

    return Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])
