"""What can be asked: who a token is, repositories, refs, history, trees, files."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from starlette.responses import JSONResponse, Response

from tests.emulators.hub_api.call import Call
from tests.emulators.hub_api.repositories import Commit, HubError

DATE = "2026-01-01T00:00:00.000Z"


def whoami(call: Call) -> Response:
    """GET /api/whoami-v2."""
    if call.account is None:
        raise HubError(401, "", "Invalid username or password.")
    return JSONResponse(call.account.whoami())


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
