"""REST resources of a git repository itself: commits, trees, blobs."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Missing(Exception):
    """404."""

    status = 404


class Disabled(Missing):
    """410: a repository has switched it off."""

    status = 410


def resource(folder: Path, rest: str, query: dict[str, str], max_entries: int) -> Any:
    """What lies at a path below the repository.

    Raises:
        Missing: nothing lies there.
    """
    if rest == "commits":
        return _commits(folder, query.get("sha", "HEAD"))
    _, kind, sha = rest.split("/", 2)
    if kind not in ("trees", "blobs") or git_bytes(folder, "cat-file", "-t", sha).strip().decode() != kind[:-1]:
        raise Missing(rest)
    if kind == "blobs":
        data = git_bytes(folder, "cat-file", "blob", sha)
        return {"sha": sha, "size": len(data), "encoding": "base64", "content": base64.encodebytes(data).decode()}
    entries = _entries(folder, sha, "recursive" in query)
    cut = "recursive" in query and len(entries) > max_entries
    return {"sha": sha, "tree": entries[:max_entries] if cut else entries, "truncated": cut}


def _commits(folder: Path, start: str) -> list[Json]:
    listing = git(
        folder, "log", "--date-order", "--format=%H%x09%T%x09%P%x09%cd%x09%s", "--date=format-local:%FT%TZ", start
    )
    found = []
    for line in listing.splitlines():
        sha, tree, parents, date, subject = line.split("\t", 4)
        commit = {"tree": {"sha": tree}, "committer": {"date": date}, "message": subject}
        found.append({"sha": sha, "commit": commit, "parents": [{"sha": parent} for parent in parents.split()]})
    return found


def _entries(folder: Path, sha: str, recursive: bool) -> list[Json]:
    options = ("-r", "-t") if recursive else ()
    found = []
    for line in git_bytes(folder, "ls-tree", "-z", "-l", *options, sha).split(b"\0")[:-1]:
        facts, path = line.split(b"\t", 1)
        mode, kind, object_id, size = facts.decode().split()
        item: Json = {"path": path.decode("utf-8", "replace"), "mode": mode, "type": kind, "sha": object_id}
        found.append(item | ({"size": int(size) if size.isdigit() else 0} if kind == "blob" else {}))
    return found


def git(folder: Path, *arguments: str) -> str:
    """Output of git in a repository."""
    return git_bytes(folder, *arguments).decode("utf-8", "replace")


def git_bytes(folder: Path, *arguments: str) -> bytes:
    """The same, undecoded.

    Raises:
        Missing: git failed.
    """
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"TZ": "UTC"}, check=False)
    if done.returncode:
        raise Missing(done.stderr.decode("utf-8", "replace"))
    return done.stdout
