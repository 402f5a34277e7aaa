"""A source on GitHub: what it comes to at its date, asked in few requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tasks.base.errors import InputError, SourceError
from tasks.base.progress import Event, emit
from tasks.base.store import Store
from tasks.harvest.dates import rfc3339
from tasks.harvest.git.mirror import HEADS, PULLS, RefusedError, mirror_of, open_source, remote_head, update_mirror
from tasks.harvest.git.opened import Opened
from tasks.harvest.github.cache import GithubCache, Index
from tasks.harvest.github.client import Client, UnavailableError
from tasks.harvest.github.index import Wanted, choose, refresh
from tasks.harvest.github.listing import Lister
from tasks.harvest.github.releases import published
from tasks.harvest.github.topics import PULL_REQUESTS, TOPICS, Topic
from tasks.harvest.params import GithubParams, PullReference, ReleaseNote, Remote, SourceParams

PHASE: Final = "harvest/resolve"
"""Name under which a wait is shown that happens before the first step."""


class OnGithub(NamedTuple):
    """What GitHub and its git server said."""

    opened: Opened
    """The mirror; it has the trunk's history and the selected heads."""
    web_url: str
    selection: tuple[PullReference, ...]
    threads: dict[str, tuple[PullReference, ...]]
    """Selected issues and discussions, by the kind of document that they become; those that are wanted."""
    releases: tuple[ReleaseNote, ...]
    """Empty where none are wanted."""


def open_github(source: SourceParams, github: GithubParams, until: int, store: Store) -> OnGithub:
    """Asks GitHub for the selection and brings the mirror up to date.

    When nothing is new this takes one request by GraphQL (the list says where the default branch is), by REST one and
    one of git.

    Raises:
        InputError: no such repository, it is empty, or the token does not suffice.
        SourceError: GitHub fails again and again, or a limit lasts longer than `max_wait`.
    """
    waited: list[str] = []

    def waiting(left: float, why: str) -> None:
        waited.append(why)
        emit(Event(PHASE, "progress", facts={"waiting": round(left), "why": why}))

    client = Client(github, source.repo, waiting)
    cache = GithubCache(store, github, source.repo)
    index = cache.index() or Index()
    trunk: str | None = None
    selection: tuple[PullReference, ...] = ()
    if source.pulls is not None:
        index, trunk = _list(client, cache, PULL_REQUESTS, index, source.pulls, until)
        selection = choose(index.pulls, source.pulls, until)
    if not index.clone_url:
        facts = client.get("").data
        index = index.model_copy(update={"clone_url": facts["clone_url"], "web_url": facts["html_url"]})
    cache.keep_index(index)
    remote = Remote(url=index.clone_url, repo=source.repo, github=github)
    try:
        opened = _by_git(remote, trunk, selection, cache, index, store)
    except RefusedError as error:
        raise InputError(
            f"sources.repo: {remote.repo} cannot be cloned from {remote.url} ({error});"
            " the token needs the permission contents=read"
        ) from error
    threads = _threads(github, source, until, store, waiting)
    notes = published(client, source.releases, rfc3339(until)) if source.releases else ()
    if waited:
        emit(Event(PHASE, "finished", state="Completed"))
    return OnGithub(opened, index.web_url, selection, threads, notes)


def _by_git(
    remote: Remote,
    trunk: str | None,
    selection: tuple[PullReference, ...],
    cache: GithubCache,
    index: Index,
    store: Store,
) -> Opened:
    """The mirror, brought up to date by git.

    Raises:
        RefusedError: git may not read the repository.
    """
    trunk = trunk or remote_head(remote)
    if trunk is None:
        raise InputError(f"sources.repo: {remote.repo} is an empty repository; name one with at least one commit")
    mirror = mirror_of(remote, store)
    opened = Opened(mirror, trunk, open_source(str(mirror), store), remote)
    heads = {item.number: item.head for item in selection if item.head}
    missing = opened.view.absent([trunk, *heads.values()]) - set(index.lost_heads)
    if missing:
        _fetch(remote, store, [number for number, head in heads.items() if head in missing])
        if lost := opened.view.absent([trunk, *heads.values()]):
            cache.keep_index(index.model_copy(update={"lost_heads": tuple(sorted(lost))}))
    return opened


def _threads(
    github: GithubParams, source: SourceParams, until: int, store: Store, waiting: Callable[[float, str], None]
) -> dict[str, tuple[PullReference, ...]]:
    """The selected issues and discussions, after the pull requests: by REST only these tell whose name it is now."""
    found = {}
    for kind, wanted in (("issue", source.issues), ("discussion", source.discussions)):
        if wanted is None:
            continue
        topic = TOPICS[kind]
        client = Client(github, source.repo, waiting, topic.noun)
        cache = GithubCache(store, github, source.repo, topic.folder)
        try:
            index, _ = _list(client, cache, topic, cache.index() or Index(), wanted, until)
        except UnavailableError as error:
            raise InputError(
                f"sources.{topic.folder}: {error}; set GITHUB_TOKEN and github.threads: auto, or {topic.folder}: null"
            ) from error
        cache.keep_index(index)
        found[kind] = choose(index.pulls, wanted, until)
    return found


def _list(
    client: Client, cache: GithubCache, topic: Topic, index: Index, params: Wanted, until: int
) -> tuple[Index, str | None]:
    wish = client.github.threads
    if wish == "graphql" or (wish == "auto" and client.token is not None):
        lister = Lister(client, cache, "graphql", topic)
        try:
            return refresh(index, lister, params, until), lister.trunk
        except UnavailableError:
            if wish == "graphql" or topic.rest is None:
                raise
    return refresh(index, Lister(client, cache, "rest", topic), params, until), None


def _fetch(remote: Remote, store: Store, numbers: list[int]) -> None:
    named = [f"+refs/pull/{number}/head:refs/pull/{number}/head" for number in numbers]
    try:
        update_mirror(remote, store, [HEADS, *named])
    except RefusedError:
        raise
    except SourceError:  # one of the named heads is not there: all that are there, then
        update_mirror(remote, store, [HEADS, PULLS] if named else [HEADS])
