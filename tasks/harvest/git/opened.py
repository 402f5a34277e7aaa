"""A repository that is ready to be read: a local git directory, or the mirror of a remote one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasks.base.errors import InputError, SourceError
from tasks.base.store import Store
from tasks.harvest.git.mirror import HEADS, RefusedError, mirror_of, open_source, remote_head, update_mirror
from tasks.harvest.git.repository import Repository, git_folder, head_commit
from tasks.harvest.params import Remote

ON_GITHUB: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+")
"""OWNER/NAME; an account of GitHub's Enterprise Managed Users has an underscore before its enterprise's code."""
_URL: Final = re.compile(r"(?:https?|ssh|git|file)://|[\w.][\w.-]*@[\w.][\w.-]*:")
"""A URL, or `user@host:path`, which is SSH."""
_SECRET: Final = re.compile(r"://[^/@\s]*:[^/@\s]*@")


@dataclass(frozen=True)
class Opened:
    """Where a repository is read, and the commit that its default branch names."""

    folder: Path
    """Its git directory."""
    head: str
    view: Repository
    remote: Remote | None
    """Where blobs come from that the mirror lacks; null for a local repository."""

    @property
    def shallow(self) -> bool:
        """Whether its history is cut off."""
        return (self.view.folder / "shallow").exists()


def local_folder(address: str) -> Path | None:
    """The git directory of a repository that is a folder of this machine, or None if the address is no such folder."""
    path = Path(address.removeprefix("file://")).expanduser()
    return git_folder(path) if path.is_dir() else None


def open_local(folder: Path, store: Store) -> Opened | None:
    """The repository of a git directory; None if it is empty."""
    head = head_commit(folder)
    return Opened(folder, head, open_source(str(folder), store), None) if head else None


def open_remote(url: str, store: Store) -> Opened | None:
    """The mirror of a URL or a bundle file, brought up to date; None if the repository is empty.

    Raises:
        RefusedError: there is no such repository, or no access.
        SourceError: it cannot be reached.
    """
    remote = Remote(url=url)
    trunk = remote_head(remote)
    if trunk is None:
        return None
    folder = update_mirror(remote, store)
    return Opened(folder, trunk, open_source(str(folder), store), remote)


def open_repository(address: str, field: str, store: Store) -> Opened:
    """The repository at a path or URL that the parameter `field` names.

    Raises:
        InputError: there is none, it is empty, or access is refused.
    """
    if _SECRET.search(address):
        raise InputError(
            f"{field}: the URL holds a password; take it out and use git's credential helpers or GITHUB_TOKEN"
        )
    path = Path(address.removeprefix("file://")).expanduser()
    if path.is_dir():
        folder = local_folder(address)
        if folder is None:
            raise InputError(f"{field}: the folder {address} is not a git repository; run `git init` and commit in it")
        opened = open_local(folder, store)
    elif path.is_file() or _URL.match(address):
        url = str(path.absolute()) if path.is_file() else address
        try:
            opened = open_remote(url, store)
        except RefusedError as error:
            raise InputError(
                f"{field}: {address} cannot be read ({error}); check the address and your access"
            ) from error
        except SourceError as error:
            raise InputError(
                f"{field}: {address} cannot be fetched ({error}); check the address and the network"
            ) from error
    else:
        raise InputError(
            f"{field}: there is no {address}; give OWNER/NAME on GitHub, or a path or URL of a git repository"
        )
    if opened is None:
        raise InputError(f"{field}: {address} is an empty repository; name one with at least one commit")
    return opened


def mirrored(remote: Remote, store: Store) -> Opened | None:
    """The mirror of a remote, fetched only if its default branch moved; None if the repository is empty."""
    trunk = remote_head(remote)
    if trunk is None:
        return None
    folder = mirror_of(remote, store)
    view = open_source(str(folder), store)
    if view.absent([trunk]):
        update_mirror(remote, store, [HEADS])
    return Opened(folder, trunk, view, remote)
