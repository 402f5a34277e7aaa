"""Resolve: what a source comes to at its date. A phase of the flow, not a step: never cached, always asked again.

It finds the commit of the snapshot, the selection of pull requests and the commit of the wiki; what it finds goes into
the parameters of the harvest steps, whose keys therefore change only when one of them did.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from pathlib import Path
from typing import Final

from tasks.base.errors import InputError, SourceError
from tasks.base.store import Store
from tasks.harvest.dates import day_end, rfc3339
from tasks.harvest.history import select
from tasks.harvest.mirror import open_source, update_mirror
from tasks.harvest.params import (
    GithubParams,
    PullReference,
    ResolvedPulls,
    ResolvedSnapshot,
    ResolvedSource,
    SourceParams,
)
from tasks.harvest.repository import Repository, git_folder, head_commit, pull_heads
from tasks.harvest.wiki_source import resolve_wiki

_ON_GITHUB: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\s]+@[^/\s]+:")


def resolve_source(
    source: SourceParams, github: GithubParams, scheduled: datetime.datetime, store: Store
) -> ResolvedSource:
    """What one source comes to.

    Args:
        source: the repository and what is wanted of it.
        github: how GitHub is reached, for a repository named OWNER/NAME.
        scheduled: the run's scheduled start, which stands for a null `as_of`.
        store: its cache holds mirrors and threads.

    Raises:
        InputError: no such repository, it is empty, `as_of` lies before its first commit, or access is refused.
        SourceError: the repository is there but cannot be read.
    """
    until = day_end(source.as_of) if source.as_of else int(scheduled.timestamp())
    folder = _local_folder(source.repo)
    if folder is None:
        if not _URL.match(source.repo):
            raise InputError(_no_repository(source.repo))
        try:
            folder = update_mirror(source.repo, store)
        except SourceError as error:
            raise InputError(
                f"sources.repo: {source.repo} cannot be fetched ({error}); check the address and your access"
            ) from error
    return _resolve_git(source, folder, until, store)


def _resolve_git(source: SourceParams, folder: Path, until: int, store: Store) -> ResolvedSource:
    name = repository_name(source.repo)
    head = head_commit(folder)
    if head is None:
        raise InputError(f"sources.repo: {source.repo} is an empty repository; name one with at least one commit")
    repository = open_source(str(folder), store)
    return ResolvedSource(
        snapshot=_snapshot(source, name, repository, folder, head, until),
        pulls=_pulls(source, name, repository, folder, head, until),
        wiki=resolve_wiki(source, name, folder, until, store),
    )


def _snapshot(
    source: SourceParams, name: str, repository: Repository, folder: Path, head: str, until: int
) -> ResolvedSnapshot:
    revision = repository.first_parent_head(head, until)
    if revision is None:
        first = rfc3339(repository.committed(repository.run("rev-list", "--first-parent", head).split()[-1].decode()))
        remedy = (
            "it is a shallow clone: run `git fetch --unshallow` in it, or choose a later date"
            if (folder / "shallow").exists()
            else "choose a later date"
        )
        raise InputError(
            f"sources.as_of: {rfc3339(until)[:10]} is before the first commit of {source.repo} ({first}); {remedy}"
        )
    return ResolvedSnapshot(
        repo=name,
        revision=revision,
        committed_at=rfc3339(repository.committed(revision)),
        web_url=None,
        location=str(folder),
    )


def _pulls(
    source: SourceParams, name: str, repository: Repository, folder: Path, head: str, until: int
) -> ResolvedPulls | None:
    if source.pulls is None:
        return None
    if source.pulls.state in ("open", "closed"):
        raise InputError(
            f"sources.pulls.state: {source.pulls.state} needs GitHub's API;"
            f" a plain git repository like {source.repo} can tell only all or merged"
        )
    selection = tuple(select(repository, pull_heads(folder), head, source.pulls, until))
    return ResolvedPulls(
        repo=name,
        digest=selection_digest(selection),
        count=len(selection),
        web_url=None,
        location=str(folder),
        trunk=head,
        selection=selection,
    )


def selection_digest(selection: tuple[PullReference, ...]) -> str:
    """SHA-256 over what identifies every selected pull request and its state."""
    lines = [[item.number, item.updated_at, item.head, item.merge, item.base] for item in selection]
    return hashlib.sha256(json.dumps(lines, separators=(",", ":")).encode()).hexdigest()


def repository_name(repo: str) -> str:
    """The name that documents bear: OWNER/NAME for GitHub, else the base name without `.git`."""
    path = Path(repo).expanduser() if "://" not in repo else Path(repo)
    parts = [part for part in (path.absolute() if "://" not in repo else path).parts if part not in ("/", ".git")]
    name = parts[-1].rpartition(":")[2] if parts else ""
    return re.sub(r"\.(git|bundle)$", "", name) or "repository"


def _local_folder(repo: str) -> Path | None:
    if repo.startswith("file://"):
        repo = repo.removeprefix("file://")
    path = Path(repo).expanduser()
    if not path.exists():
        return None
    if path.is_file():
        return None
    found = git_folder(path)
    if found is None and not _ON_GITHUB.fullmatch(repo):
        raise InputError(
            f"sources.repo: the folder {repo} is not a git repository; name one, or run `git init` and commit in it"
        )
    return found


def _no_repository(repo: str) -> str:
    return (
        f"sources.repo: there is no repository {repo}; give OWNER/NAME on GitHub, or a path or URL of a git repository"
    )
