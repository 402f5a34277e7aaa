"""Resolve: what a source comes to at its date. A phase of the flow, not a step: never cached, always asked again.

It finds the commits of snapshot and wiki and the selections of pull requests, issues and discussions; what it finds
goes into the parameters of the harvest steps, whose keys therefore change only when one of them did.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.harvest.dates import day_end, rfc3339
from tasks.harvest.documents.folder import as_folder
from tasks.harvest.forges import forge_name, server_of
from tasks.harvest.git.history import select
from tasks.harvest.git.opened import Opened, local_folder, open_repository
from tasks.harvest.git.repository import origin, pull_heads
from tasks.harvest.on_forge import open_forge
from tasks.harvest.params import (
    ForgeName,
    PullReference,
    ReleaseNote,
    ReleasesParams,
    ResolvedDocuments,
    ResolvedPulls,
    ResolvedReleases,
    ResolvedSnapshot,
    ResolvedSource,
    ResolvedThreads,
    ResolvedWiki,
    Servers,
    SourceParams,
    ThreadsParams,
)
from tasks.harvest.wiki.source import beside, named_wiki, remote_wiki, wiki_of

logger = logging.getLogger(__name__)


def resolve_source(
    source: SourceParams, servers: Servers, scheduled: datetime.datetime, store: Store
) -> ResolvedSource:
    """What one source comes to.

    Args:
        source: the repository and what is wanted of it.
        servers: how each forge is reached.
        scheduled: the run's scheduled start, which stands for a null `as_of`.
        store: its cache holds mirrors and threads.

    Raises:
        InputError: no such repository, it is empty, `as_of` lies before its first commit, or access is refused.
        SourceError: the repository is there but cannot be read.
    """
    until = day_end(source.as_of) if source.as_of else int(scheduled.timestamp())
    name, web_url = source_name(source), None
    threads: dict[str, tuple[PullReference, ...]] = {}
    notes: tuple[ReleaseNote, ...] = ()
    forge = forge_name(source)
    if forge:
        opened, web_url, selection, threads, notes = open_forge(source, server_of(forge, servers), until, store)
    else:
        opened = open_repository(source.repo, "sources.repo", store)
        selection = _plain_selection(source, opened, until)
    return ResolvedSource(
        snapshot=_snapshot(source, name, web_url, opened, until),
        pulls=None if source.pulls is None else _pulls(name, web_url, opened, selection, rfc3339(until)),
        issues=_threads("issue", source.issues, name, source.forge, opened, threads, rfc3339(until)),
        discussions=_threads("discussion", source.discussions, name, source.forge, opened, threads, rfc3339(until)),
        releases=_releases(source.releases, name, source.forge, notes),
        wiki=_wiki(source, name, web_url, opened, until, store),
        documents=_documents(source, name, until, store),
    )


def _snapshot(source: SourceParams, name: str, web_url: str | None, opened: Opened, until: int) -> ResolvedSnapshot:
    revision = opened.view.first_parent_head(opened.head, until)
    if revision is None:
        oldest = opened.view.run("rev-list", "--first-parent", revisions=[opened.head]).split()[-1].decode()
        remedy = "it is a shallow clone: run `git fetch --unshallow` in it, or " if opened.shallow else ""
        raise InputError(
            f"sources.as_of: {rfc3339(until)[:10]} is before the first commit of {source.repo}"
            f" ({rfc3339(opened.view.committed(oldest))}); {remedy}choose a later date"
        )
    return ResolvedSnapshot(
        repo=name,
        revision=revision,
        committed_at=rfc3339(opened.view.committed(revision)),
        web_url=web_url,
        forge=source.forge,
        location=str(opened.folder),
        remote=opened.remote,
    )


def _pulls(
    name: str, web_url: str | None, opened: Opened, selection: tuple[PullReference, ...], until: str
) -> ResolvedPulls:
    return ResolvedPulls(
        repo=name,
        digest=selection_digest(selection, until),
        count=len(selection),
        web_url=web_url,
        location=str(opened.folder),
        remote=opened.remote,
        trunk=opened.head,
        until=until,
        selection=selection,
    )


def _threads(
    kind: Literal["issue", "discussion"],
    wanted: ThreadsParams | None,
    name: str,
    forge: ForgeName,
    opened: Opened,
    threads: dict[str, tuple[PullReference, ...]],
    until: str,
) -> ResolvedThreads | None:
    if wanted is None or opened.remote is None:
        return None
    selection = threads[kind]
    return ResolvedThreads(
        kind=kind,
        repo=name,
        forge=forge,
        digest=selection_digest(selection, until),
        count=len(selection),
        people=wanted.people,
        remote=opened.remote,
        until=until,
        selection=selection,
    )


def _releases(
    wanted: ReleasesParams | None, name: str, forge: ForgeName, notes: tuple[ReleaseNote, ...]
) -> ResolvedReleases | None:
    if wanted is None:
        return None
    told = json.dumps([note.model_dump() for note in notes], separators=(",", ":"))
    digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
    return ResolvedReleases(repo=name, forge=forge, digest=digest, count=len(notes), people=wanted.people, notes=notes)


def _plain_selection(source: SourceParams, opened: Opened, until: int) -> tuple[PullReference, ...]:
    for kind in ("issues", "discussions", "releases"):
        if getattr(source, kind) is not None:
            raise InputError(
                f"sources.{kind}: needs a forge's API, and {source.repo} is a plain git repository;"
                " name it as its forge does, with `forge: gitlab` or `gitea` where that is not GitHub,"
                " or give them as files or JSON lines in sources.documents (docs/documents.md)"
            )
    if source.pulls is None:
        return ()
    if source.pulls.state in ("open", "closed"):
        raise InputError(
            f"sources.pulls.state: {source.pulls.state} needs a forge's API;"
            f" a plain git repository like {source.repo} can tell only all or merged"
        )
    found = tuple(select(opened.view, pull_heads(opened.folder), opened.head, source.pulls, until))
    if not found:
        logger.warning(
            "%s has no pull requests that git knows of: no heads of pull or merge requests, no commit in the words"
            " of GitHub, GitLab, Azure DevOps or Bitbucket when they merge one",
            source.repo,
        )
    return found


def _wiki(
    source: SourceParams, name: str, web_url: str | None, opened: Opened, until: int, store: Store
) -> ResolvedWiki | None:
    if source.wiki is None:
        return None
    if source.wiki != "auto":
        return named_wiki(source.wiki, name, until, store)
    on_forge = opened.remote is not None and opened.remote.server is not None
    found = remote_wiki(opened.remote, store) if on_forge and opened.remote else beside(source.repo, opened, store)
    return wiki_of(name, web_url, found, until, source.forge)


def _documents(source: SourceParams, name: str, until: int, store: Store) -> ResolvedDocuments | None:
    wanted = source.documents
    if wanted is None:
        return None
    place = as_folder(wanted.path, wanted.max_bytes, store)
    found = named_wiki(place, name, until, store, "sources.documents.path")
    if found.revision is None or found.location is None:
        raise InputError(f"sources.documents.path: {wanted.path} has no commit up to {rfc3339(until)[:10]}")
    return ResolvedDocuments(
        repo=name,
        revision=found.revision,
        until=until if source.as_of else None,  # the run's start would make another step of every run
        people=wanted.people,
        max_bytes=wanted.max_bytes,
        base_url=wanted.base_url,
        location=found.location,
        remote=found.remote,
    )


def selection_digest(selection: tuple[PullReference, ...], until: str) -> str:
    """SHA-256 over what identifies every selected pull request and its state.

    The base branch's tip is left out: it moves with every push to that branch. The date is left out where a pull
    request did not change after it: a later date gives the same document.
    """
    lines = [
        [item.number, item.updated_at, item.head, item.merge, until if item.is_late else None] for item in selection
    ]
    return hashlib.sha256(json.dumps(lines, separators=(",", ":")).encode()).hexdigest()


def check_names(sources: Sequence[SourceParams]) -> None:
    """Refuses sources whose documents would bear the same ids, before anything is read.

    Raises:
        InputError: two have one name, letters of either case.
    """
    seen: dict[str, SourceParams] = {}
    for source in sources:
        other = seen.setdefault(source_name(source).lower(), source)
        if other is not source:
            both = f"{other.repo} and {source.repo}" if other.repo != source.repo else f"{source.repo}, twice,"
            raise InputError(
                f"sources: {both} would both be filed under {source_name(source)};"
                " list a repository once, or give one of them another `name`"
            )


def source_name(source: SourceParams) -> str:
    """What the documents of a source are filed under: OWNER/NAME, or the base name of its address; of a clone on this
    machine the base name of its origin, whatever its folder is called.
    """
    if source.name or forge_name(source):
        return source.name or source.repo
    folder = local_folder(source.repo)
    return repository_name((origin(folder) if folder else None) or source.repo)


def repository_name(address: str) -> str:
    """The name that documents of a plain git repository bear: its base name without `.git`."""
    path = Path(address) if "://" in address else Path(address).expanduser().absolute()
    parts = [part for part in path.parts if part not in ("/", ".", ".git")]
    name = parts[-1].rpartition(":")[2] if parts else ""
    return re.sub(r"\.(git|bundle)$", "", name) or "repository"
