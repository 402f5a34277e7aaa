"""What can be changed: repositories, uploads by Git LFS, commits, branches, tags."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from tests.emulators.hub_api.call import Call
from tests.emulators.hub_api.repositories import File, HubError, is_lfs


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
