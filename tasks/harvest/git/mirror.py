"""Mirrors of remote repositories in the store's cache: fetched incrementally, without blobs, which follow when needed.

A mirror lacks blobs until something reads them (`--filter=blob:none`), so a month's fetch costs what changed, and a
server that has lost a blob can still be mirrored. No token and no remote is written into a mirror.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tasks.base.errors import SourceError
from tasks.base.locks import flock
from tasks.base.store import Store
from tasks.harvest.credentials import git_credentials
from tasks.harvest.git.command import git
from tasks.harvest.git.repository import PULL_HEADS, Repository, open_view
from tasks.harvest.params import Remote

HEADS: Final = "+refs/heads/*:refs/heads/*"
OF_FORGES: Final = tuple(f"+{prefix}/*/{head}:{prefix}/*/{head}" for prefix, head in PULL_HEADS.items())
"""Heads of pull requests wherever a forge keeps them."""

TRIES: Final = 3
STALLED: Final = 120
"""Seconds without a byte after which a transfer is broken off and tried again; while it packs, git's server sends some
every five.
"""
STALLED_TIMEOUTS: Final = 4
"""The same for a forge, in times its parameter `timeout`."""
OBJECTS_A_FETCH: Final = 20_000
_REFUSED: Final = (
    "not found",
    "Authentication failed",
    "could not read Username",
    "error: 401",
    "error: 403",
    "error: 404",
    "does not exist",
    "does not appear to be a git repository",
    "Access denied",
    "Permission denied",
    "Could not read from remote repository",
)
_ABSENT: Final = ("not our ref", "couldn't find remote ref")
"""What git says of an object or a reference that the server lacks; asking again does not help."""


class RefusedError(SourceError):
    """There is no such repository at the address, or access is refused."""


def open_source(location: str, store: Store) -> Repository:
    """A view of the git directory that `resolve` found or made."""
    return open_view(Path(location), store.local("cache", "views"))


def mirror_of(remote: Remote, store: Store) -> Path:
    """The git directory of a remote's mirror, made if missing."""
    folder = store.local("cache", "mirrors")
    mirror = folder / (hashlib.sha256(remote.url.encode()).hexdigest()[:20] + ".git")
    with flock(folder / f"{mirror.name}.lock"):
        if not (mirror / "HEAD").exists():
            git("init", "--quiet", "--bare", "--template=", operands=[str(mirror)])
    return mirror


def remote_head(remote: Remote) -> str | None:
    """The commit of the default branch; None for an empty repository. One request: protocol 0 needs no second.

    Raises:
        RefusedError: no such repository, or no access.
        SourceError: the server cannot be reached.
    """
    listing = _network(remote, "ls-remote", operands=[remote.url, "HEAD"], settings=["protocol.version=0"])
    pairs = (line.split("\t") for line in listing.decode("utf-8", "replace").splitlines())
    return next((commit for commit, name in pairs if name == "HEAD"), None)


def update_mirror(remote: Remote, store: Store, refspecs: Sequence[str] = (HEADS, *OF_FORGES)) -> Path:
    """Fetches references of a remote into its mirror and returns the mirror's git directory.

    Args:
        remote: where to fetch.
        store: whose cache holds the mirror.
        refspecs: what to fetch.

    Raises:
        RefusedError: no such repository, or no access, or one of the named references is not there.
        SourceError: the server cannot be reached or breaks off.
    """
    mirror = mirror_of(remote, store)
    with flock(mirror / "rawtune.lock"):
        _fetch(mirror, remote, refspecs)
    return mirror


def fetch_blobs(repository: Repository, remote: Remote | None, store: Store, object_ids: Iterable[str]) -> int:
    """Fetches those of the objects that the mirror lacks, in few requests, and returns how many it asked for.

    Objects that the server lacks too stay absent: the others are found by halving.
    """
    if remote is None:
        return 0
    wanted = sorted(repository.absent(object_ids))
    mirror = mirror_of(remote, store)
    with flock(mirror / "rawtune.lock"):
        for start in range(0, len(wanted), OBJECTS_A_FETCH):
            _fetch_objects(mirror, remote, wanted[start : start + OBJECTS_A_FETCH])
    return len(wanted)


def _fetch_objects(mirror: Path, remote: Remote, object_ids: list[str]) -> None:
    if not object_ids:
        return
    try:
        _fetch(mirror, remote, object_ids, settings=["fetch.negotiationAlgorithm=noop"])
    except RefusedError:
        raise
    except SourceError:
        if len(object_ids) > 1:
            middle = len(object_ids) // 2
            _fetch_objects(mirror, remote, object_ids[:middle])
            _fetch_objects(mirror, remote, object_ids[middle:])


def _fetch(mirror: Path, remote: Remote, refspecs: Sequence[str], settings: Sequence[str] = ()) -> None:
    _network(
        remote,
        *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force", "--no-auto-gc", "--filter=blob:none"),
        "--stdin",
        at=mirror,
        operands=[remote.url],
        settings=settings,
        stdin="".join(f"{refspec}\n" for refspec in refspecs).encode(),
    )


def _network(
    remote: Remote,
    *arguments: str,
    operands: Sequence[str],
    settings: Sequence[str] = (),
    at: Path | None = None,
    stdin: bytes | None = None,
) -> bytes:
    server = remote.server
    environment = git_credentials(server, remote.url) if server else {}
    stalled = max(round(STALLED_TIMEOUTS * server.timeout), 1) if server else STALLED
    patience = ("http.lowSpeedLimit=1", f"http.lowSpeedTime={stalled}")
    for attempt in range(1, TRIES + 1):
        try:
            return git(
                *arguments,
                at=at,
                operands=operands,
                settings=(*patience, *settings),
                stdin=stdin,
                environment=environment,
                network=True,
            )
        except SourceError as error:
            if any(mark in str(error) for mark in _REFUSED):
                raise RefusedError(str(error)) from error
            if attempt == TRIES or any(mark in str(error) for mark in _ABSENT):
                raise
            time.sleep(attempt)
    raise AssertionError("unreachable")
