"""The Hub's HTTP API. Paths are split before they are unquoted, because branch names contain slashes.

Requests and answers as seen from huggingface_hub 1.33 and datasets 4.8.5; the client's own checks are the
specification.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators.hub_api.faults import CutConnection, Fault
from tests.emulators.hub_api.repositories import Account, Commit, File, Hub, HubError, Repository, is_lfs

Answer = Response | CutConnection
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]
DATE = "2026-01-01T00:00:00.000Z"


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


def whoami(call: Call) -> Response:
    """GET /api/whoami-v2."""
    if call.account is None:
        raise HubError(401, "", "Invalid username or password.")
    return JSONResponse(call.account.whoami())


def validate_yaml(call: Call) -> Response:
    """POST /api/validate-yaml: the metadata at the head of a README."""
    match = re.match(r"---\n(.*?)\n---\n", call.json["content"], re.DOTALL)
    data = yaml.safe_load(match[1]) if match else {}
    errors = []
    if not re.fullmatch(r"[a-z0-9.-]+", str(data.get("license", "other"))):
        errors.append({"message": '"license" must be an identifier'})
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(data.get("base_model", "a/b"))):
        errors.append({"message": '"base_model" must be a Hub id'})
    return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)


def create_repo(call: Call) -> Response:
    """POST /api/repos/create; hub 1.x sends `private` or `visibility`."""
    if call.account is None:
        raise HubError(401, "", "Invalid username or password.")
    wanted = call.json
    kind = {"dataset": "datasets"}.get(wanted.get("type", "model"), "models")
    repo_id = f"{wanted.get('organization') or call.account.user}/{wanted['name']}"
    if not call.account.may_write(repo_id):
        raise HubError(403, "", "You don't have the rights to create a model under this namespace")
    location = f"{call.url}/{'datasets/' if kind == 'datasets' else ''}{repo_id}"
    if (kind, repo_id) in call.hub.repositories:
        raise HubError(409, "", "You already created this model repo", url=location)
    private = wanted.get("private") or wanted.get("visibility") == "private"
    call.hub.create(kind, repo_id, bool(private))
    return JSONResponse({"url": location, "name": repo_id})


def info(call: Call, kind: str, repo_id: str, revision: str = "main") -> Response:
    """GET /api/models/ID[/revision/REV]."""
    repository = call.repository(kind, repo_id)
    commit = repository.at(revision)
    return JSONResponse(
        {
            "_id": "0" * 24,
            "id": repo_id,
            "modelId": repo_id,
            "sha": commit.oid,
            "private": repository.private,
            "gated": False,
            "disabled": False,
            "lastModified": DATE,
            "createdAt": DATE,
            "tags": [],
            "siblings": [{"rfilename": path} for path in sorted(commit.files)],
        }
    )


def refs(call: Call, kind: str, repo_id: str) -> Response:
    """GET refs."""
    repository = call.repository(kind, repo_id)
    named = {
        "branches": ("refs/heads", repository.branches),
        "tags": ("refs/tags", repository.tags),
        "converts": ("", {}),
    }
    return JSONResponse(
        {
            key: [{"name": name, "ref": f"{prefix}/{name}", "targetCommit": oid} for name, oid in sorted(names.items())]
            for key, (prefix, names) in named.items()
        }
    )


def commits(call: Call, kind: str, repo_id: str, revision: str) -> Response:
    """GET commits/REV, the newest first."""
    history = call.repository(kind, repo_id).history(revision)
    return JSONResponse(
        [
            {"id": commit.oid, "title": commit.title, "message": commit.message, "authors": [], "date": DATE}
            for commit in history
        ]
    )


def tree(call: Call, kind: str, repo_id: str, revision: str, *folder: str) -> Response:
    """GET tree/REV[/path]?recursive."""
    commit = call.repository(kind, repo_id).at(revision)
    prefix = "".join(f"{part}/" for part in folder)
    names = sorted(path for path in commit.files if path.startswith(prefix))
    if prefix and not names:
        raise HubError(404, "EntryNotFound", f"{prefix} does not exist on {revision}")
    recursive = call.request.query_params.get("recursive", "false").lower() in ("true", "1")
    entries, folders = [], set()
    for path in names:
        parents = path.removeprefix(prefix).split("/")[:-1]
        depth = len(parents) if recursive else min(len(parents), 1)
        folders |= {prefix + "/".join(parents[: level + 1]) for level in range(depth)}
        if recursive or not parents:
            entries.append(entry(path, commit))
    return JSONResponse(
        [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)] + entries
    )


def entry(path: str, commit: Commit) -> dict[str, Any]:
    """A file of a tree, as `tree` and `paths-info` give it."""
    file = commit.files[path]
    found: dict[str, Any] = {"type": "file", "oid": file.oid, "size": len(file.data), "path": path}
    if file.lfs:
        found["lfs"] = {"oid": file.sha256, "size": len(file.data), "pointerSize": len(file.blob)}
    return found


def paths_info(call: Call, kind: str, repo_id: str, revision: str) -> Response:
    """POST paths-info/REV."""
    commit = call.repository(kind, repo_id).at(revision)
    if call.request.headers.get("content-type", "").startswith("application/json"):
        paths = call.json["paths"]
    else:
        paths = re.findall(r"paths=([^&]*)", call.body.decode())
        paths = [unquote(path.replace("+", " ")) for path in paths]
    return JSONResponse([entry(path, commit) for path in paths if path in commit.files])


def preupload(call: Call, kind: str, repo_id: str, revision: str) -> Response:
    """POST preupload/REV: which files go to LFS, and what is there already."""
    commit = call.writable(kind, repo_id).at(revision)
    answer = []
    for wanted in call.json["files"]:
        known = commit.files.get(wanted["path"])
        answer.append(
            {
                "path": wanted["path"],
                "uploadMode": "lfs" if is_lfs(wanted["path"], wanted["size"]) else "regular",
                "shouldIgnore": False,
                "oid": None if known is None else known.etag,
            }
        )
    return JSONResponse({"files": answer})


def lfs_batch(call: Call, kind: str, repo_id: str) -> Response:
    """POST ID.git/info/lfs/objects/batch: no `actions` for an object that is there whole."""
    call.writable(kind, repo_id)
    objects = []
    for wanted in call.json["objects"]:
        known = call.hub.objects.get(wanted["oid"])
        answer: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
        if known is None or hashlib.sha256(known).hexdigest() != wanted["oid"]:
            answer["actions"] = {"upload": {"href": f"{call.url}/upload/{wanted['oid']}"}}
        objects.append(answer)
    return JSONResponse({"transfer": "basic", "objects": objects})


def upload(call: Call, oid: str) -> Response:
    """PUT of an LFS object, to what is another host on the real Hub."""
    call.hub.objects[oid] = call.body
    return Response()


def commit_files(call: Call, kind: str, repo_id: str, revision: str) -> Response:
    """POST commit/REV: JSON lines of a header and operations; all or nothing."""
    repository = call.writable(kind, repo_id)
    if revision not in repository.branches:
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    header: dict[str, Any] = {}
    files = dict(repository.at(revision).files)
    for line in call.body.splitlines():
        key, value = (json.loads(line)[name] for name in ("key", "value"))
        if key == "header":
            header = value
        elif key == "file":
            files[value["path"]] = File(base64.b64decode(value["content"]), lfs=False)
        elif key == "lfsFile":
            if value["oid"] not in call.hub.objects:
                raise HubError(400, "", f"LFS pointer of {value['path']} points to a file that does not exist")
            files[value["path"]] = File(call.hub.objects[value["oid"]], lfs=True)
        elif key == "deletedFile":
            if value["path"] not in files:
                raise HubError(404, "EntryNotFound", "A file with this name doesn't exist")
            del files[value["path"]]
        elif key == "deletedFolder":
            files = {path: file for path, file in files.items() if not path.startswith(value["path"])}
    if header.get("parentCommit", repository.branches[revision]) != repository.branches[revision]:
        raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
    made = repository.commit(revision, header["summary"], header.get("description", ""), files)
    return JSONResponse(
        {
            "success": True,
            "commitOid": made.oid,
            "commitUrl": f"{call.url}/{repo_id}/commit/{made.oid}",
            "hookOutput": "",
        }
    )


def branch(call: Call, kind: str, repo_id: str, name: str) -> Response:
    """POST and DELETE branch/NAME."""
    repository = call.writable(kind, repo_id)
    if call.request.method == "DELETE":
        repository.branches.pop(name)
        return Response()
    if name in repository.branches:
        raise HubError(409, "", f"Reference already exists: {name}")
    start = (call.json if call.body else {}).get("startingPoint") or "main"
    repository.branches[name] = repository.at(start).oid
    return JSONResponse({})


def tag(call: Call, kind: str, repo_id: str, revision: str) -> Response:
    """POST tag/REV {"tag"} and DELETE tag/NAME."""
    repository = call.writable(kind, repo_id)
    if call.request.method == "DELETE":
        repository.tags.pop(revision)
        return Response()
    if call.json["tag"] in repository.tags:
        raise HubError(409, "", "Tag already exists")
    repository.tags[call.json["tag"]] = repository.at(revision).oid
    return JSONResponse({})


def resolve(call: Call, kind: str, repo_id: str, revision: str, *path: str) -> Response:
    """HEAD and GET of a file; ranges as the client's resumed downloads ask for them."""
    commit = call.repository(kind, repo_id).at(revision)
    file = commit.files.get("/".join(path))
    if file is None:
        raise HubError(404, "EntryNotFound", "Entry not found")
    headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.data))}
    if call.request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(len(file.data))})
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", call.request.headers.get("range", ""))
    if asked is None:
        return Response(file.data, headers=headers, media_type="application/octet-stream")
    first, last = int(asked[1]), int(asked[2] or len(file.data) - 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(file.data)}"
    return Response(file.data[first : last + 1], 206, headers, "application/octet-stream")


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
