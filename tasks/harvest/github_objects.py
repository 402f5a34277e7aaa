"""A snapshot by REST, where git itself is refused: commits, trees and blobs come from the API into the mirror.

Trees are rebuilt and blobs written under their own shas, so everything after that reads the mirror as if git had filled
it, with the same bytes, and a later run asks only for blobs that it has not seen.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from tasks.base.errors import InputError, SourceError
from tasks.harvest.dates import rfc3339
from tasks.harvest.github_cache import GithubCache
from tasks.harvest.github_client import Client

if TYPE_CHECKING:
    import pygit2

TREE: Final = "40000"

MANY_BLOBS: Final = 50
"""More than this are looked for in the commit's tarball first, which is one request."""

logger = logging.getLogger(__name__)


class RestCommit(NamedTuple):
    """A commit as the API lists it."""

    sha: str
    tree: str
    committed_at: str
    parent: str | None
    """Its first parent."""


def commit_at(client: Client, cache: GithubCache, trunk: str | None, until: int) -> tuple[str, RestCommit]:
    """The head of the default branch, and the first commit on its first-parent line that was committed by `until`.

    The API has no such question, and its `until` answers with a side branch's commit on most days; so the line is
    followed from the head, 100 commits a request. What was seen of it is kept.

    Args:
        client: asks GitHub.
        cache: keeps the line.
        trunk: the head, where it is known.
        until: seconds since 1970.

    Raises:
        InputError: the repository is empty or younger, or access is refused.
    """
    seen = {sha: RestCommit(sha, *facts) for sha, facts in cache.line().items()}
    if trunk is None:
        newest = client.get("/commits", {"per_page": 1}).data
        if not newest:
            raise InputError(f"sources.repo: {client.repo} is an empty repository; name one with at least one commit")
        trunk = str(newest[0]["sha"])
    line: dict[str, list[Any]] = {}
    try:
        for commit in _line(client, seen, trunk):
            line[commit.sha] = list(commit[1:])
            if commit.committed_at <= rfc3339(until):
                return trunk, commit
    finally:
        cache.keep_line(line)
    raise InputError(
        f"sources.as_of: {rfc3339(until)[:10]} is before the first commit of {client.repo} ({commit.committed_at});"
        " choose a later date"
    )


def _line(client: Client, seen: dict[str, RestCommit], trunk: str) -> Iterator[RestCommit]:
    """The first-parent line from `trunk` down; what is not in `seen` is asked for."""
    pages: Iterator[dict[str, RestCommit]] | None = None
    wanted: str | None = trunk
    while wanted is not None:
        while wanted not in seen:
            pages = pages or _commits(client, wanted)
            page = next(pages, None)
            if page is None:
                raise SourceError(f"GitHub's list of commits of {client.repo} ends before {wanted}; run again")
            seen |= page
        yield seen[wanted]
        wanted = seen[wanted].parent


def rebuild_tree(client: Client, mirror: Path, tree: str) -> str:
    """Writes a tree and all below it into a mirror.

    Returns its sha, which is another than `tree` only where a name is not UTF-8: the API does not give its bytes.
    """
    import pygit2

    answer = client.get(f"/git/trees/{tree}", {"recursive": 1}).data
    repository = pygit2.Repository(str(mirror))
    if not answer["truncated"]:
        return _write_tree(repository, _nested(answer["tree"]))
    entries = []  # too large for one answer: folder by folder
    for entry in client.get(f"/git/trees/{tree}").data["tree"]:
        below = rebuild_tree(client, mirror, entry["sha"]) if entry["type"] == "tree" else entry["sha"]
        entries.append((entry["path"], entry["mode"], below))
    return _write_entries(repository, entries)


def write_blobs(
    client: Client, mirror: Path, revision: str, blobs: Collection[str], on_progress: Callable[[int], None]
) -> None:
    """Writes blobs of a commit into a mirror: many from its tarball, the rest one request each.

    What the tarball lacks or has otherwise (`export-ignore`, `export-subst`, converted line ends) shows by its sha.
    Blobs that GitHub lacks stay absent.

    Raises:
        SourceError: what came is not the blob.
    """
    import pygit2

    repository = pygit2.Repository(str(mirror))
    left = set(blobs)
    if len(left) > MANY_BLOBS:
        try:
            _write_from_tarball(client, repository, revision, left)
        except (SourceError, tarfile.TarError, EOFError, zlib.error, OSError) as error:
            logger.info("The tarball of %s does not come whole (%s): %d blobs are left", revision, error, len(left))
    for number, blob in enumerate(sorted(left), len(blobs) - len(left)):
        on_progress(number)
        answer = client.get(f"/git/blobs/{blob}", absent=True)
        if answer.status != 404:
            written = str(repository.write(pygit2.enums.ObjectType.BLOB, base64.b64decode(answer.data["content"])))
            if written != blob:
                raise SourceError(f"GitHub gives {written} when asked for blob {blob} of {client.repo}")


@contextmanager
def _tarball(client: Client, revision: str) -> Iterator[IO[bytes]]:
    """The tarball of a commit as it comes; asked for once. The host that it is moved to does not get the token.

    Raises:
        SourceError: it does not come, for whatever reason.
    """
    import requests

    client.requests += 1
    headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}
    address = f"{client.github.api_url.rstrip('/')}/repos/{client.repo}/tarball/{revision}"
    try:
        with requests.get(address, headers=headers, stream=True, timeout=client.github.timeout) as answer:
            answer.raise_for_status()
            yield answer.raw
    except requests.RequestException as error:
        raise SourceError(f"GitHub gives no tarball ({type(error).__name__})") from error


def _write_from_tarball(client: Client, repository: pygit2.Repository, revision: str, left: set[str]) -> None:
    """Writes what the tarball has of the blobs, and takes that off `left`."""
    import pygit2

    with _tarball(client, revision) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
        for member in archive:
            data = archive.extractfile(member) if member.isreg() else None
            content = data.read() if data else b""
            if (blob := hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()) in left:
                repository.write(pygit2.enums.ObjectType.BLOB, content)
                left.discard(blob)


Folder = dict[str, Any]
"""Entries by name: mode and sha of a file, or another folder."""


def _nested(entries: list[dict[str, str]]) -> Folder:
    root: Folder = {}
    for entry in entries:
        *parents, name = entry["path"].split("/")
        folder = root
        for parent in parents:
            folder = folder.setdefault(parent, {})
        if entry["type"] == "tree":
            folder.setdefault(name, {})
        else:
            folder[name] = entry["mode"], entry["sha"]
    return root


def _write_tree(repository: pygit2.Repository, folder: Folder) -> str:
    entries = [
        (name, TREE, _write_tree(repository, found)) if isinstance(found, dict) else (name, *found)
        for name, found in folder.items()
    ]
    return _write_entries(repository, entries)


def _write_entries(repository: pygit2.Repository, entries: list[tuple[str, str, str]]) -> str:
    """Writes one tree object: entries in git's order, in which a folder's name ends with a slash."""
    import pygit2

    named = [(name.encode("utf-8", "surrogateescape"), mode.lstrip("0"), sha) for name, mode, sha in entries]
    named.sort(key=lambda entry: entry[0] + (b"/" if entry[1] == TREE else b""))
    data = b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(sha)) for name, mode, sha in named)
    return str(repository.write(pygit2.enums.ObjectType.TREE, data))


def _commits(client: Client, start: str) -> Iterator[dict[str, RestCommit]]:
    for answer in client.pages("/commits", {"sha": start}):
        yield {item["sha"]: _commit(item) for item in answer.data}


def _commit(item: dict[str, Any]) -> RestCommit:
    parents = item["parents"]
    commit = item["commit"]
    return RestCommit(
        item["sha"], commit["tree"]["sha"], commit["committer"]["date"], parents[0]["sha"] if parents else None
    )
