"""A source on a forge: what it comes to at its date, asked in few requests."""

from __future__ import annotations

from typing import Final, NamedTuple

from tasks.base.errors import InputError, SourceError
from tasks.base.progress import Event, emit
from tasks.base.store import Store
from tasks.harvest.dates import rfc3339
from tasks.harvest.forge.cache import ForgeCache, Index
from tasks.harvest.forge.forge import FOLDERS, Forge, cache_of
from tasks.harvest.forge.index import choose
from tasks.harvest.forges import forge_at
from tasks.harvest.git.mirror import HEADS, RefusedError, mirror_of, open_source, remote_head, update_mirror
from tasks.harvest.git.opened import Opened
from tasks.harvest.params import AnyForge, PullReference, ReleaseNote, Remote, SourceParams

PHASE: Final = "harvest/resolve"
"""Name under which a wait is shown that happens before the first step."""


class OnForge(NamedTuple):
    """What a forge and its git server said."""

    opened: Opened
    """The mirror; it has the trunk's history and the selected heads."""
    web_url: str
    selection: tuple[PullReference, ...]
    threads: dict[str, tuple[PullReference, ...]]
    """Selected issues and discussions, by the kind of document that they become; those that are wanted."""
    releases: tuple[ReleaseNote, ...]
    """Empty where none are wanted."""


def open_forge(source: SourceParams, server: AnyForge, until: int, store: Store) -> OnForge:
    """Asks the forge for the selection and brings the mirror up to date.

    When nothing is new this takes one request by GraphQL (the list says where the default branch is), by GitHub's REST
    one and one of git, of other forges one more, which says whether it is still the same repository.

    Raises:
        InputError: no such repository, it is empty, or the token does not suffice.
        SourceError: the forge fails again and again, or a limit lasts longer than `max_wait`.
    """
    waited: list[str] = []

    def waiting(left: float, why: str) -> None:
        waited.append(why)
        emit(Event(PHASE, "progress", facts={"waiting": round(left), "why": why}))

    forge = forge_at(server, source.repo, waiting)
    for kind in ("issue", "discussion"):
        if getattr(source, FOLDERS[kind]) is not None and kind not in forge.threads_of:
            raise InputError(f"sources.{FOLDERS[kind]}: {forge.name} has no {kind}s; set null")
    cache = cache_of(store, server, source.repo, "pull")
    forge.identify(cache)
    index = cache.index() or Index()
    trunk: str | None = None
    selection: tuple[PullReference, ...] = ()
    if source.pulls is not None:
        index, trunk = forge.refresh("pull", cache, index, source.pulls, until)
        selection = choose(index.pulls, source.pulls, until)
    if not index.clone_url:
        index = index.model_copy(update=forge.facts()._asdict())
    cache.keep_index(index)
    remote = forge.remote(index.clone_url)
    try:
        opened = _by_git(forge, remote, trunk, selection, cache, index, store)
    except RefusedError as error:
        needed = "the permission contents=read" if forge.name == "GitHub" else "to read the repository"
        raise InputError(
            f"sources.repo: {remote.repo} cannot be cloned from {remote.url} ({error}); the token needs {needed}"
        ) from error
    threads = _threads(forge, source, until, store)
    notes = forge.releases(source.releases, rfc3339(until)) if source.releases else ()
    if waited:
        emit(Event(PHASE, "finished", state="Completed"))
    return OnForge(opened, index.web_url, selection, threads, notes)


def _by_git(
    forge: Forge,
    remote: Remote,
    trunk: str | None,
    selection: tuple[PullReference, ...],
    cache: ForgeCache,
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
        _fetch(forge, remote, store, [number for number, head in heads.items() if head in missing])
        if lost := opened.view.absent([trunk, *heads.values()]):
            cache.keep_index(index.model_copy(update={"lost_heads": tuple(sorted(lost))}))
    return opened


def _threads(forge: Forge, source: SourceParams, until: int, store: Store) -> dict[str, tuple[PullReference, ...]]:
    """The selected issues and discussions, after the pull requests: by REST only these tell whose name it is now."""
    found = {}
    for kind, wanted in (("issue", source.issues), ("discussion", source.discussions)):
        if wanted is None:
            continue
        cache = cache_of(store, forge.server, source.repo, kind)
        index, _ = forge.refresh(kind, cache, cache.index() or Index(), wanted, until)
        cache.keep_index(index)
        found[kind] = choose(index.pulls, wanted, until)
    return found


def _fetch(forge: Forge, remote: Remote, store: Store, numbers: list[int]) -> None:
    named = [_refspec(forge, number) for number in numbers]
    try:
        update_mirror(remote, store, [HEADS, *named])
    except RefusedError:
        raise
    except SourceError:  # one of the named heads is not there: all that are there, then
        update_mirror(remote, store, [HEADS, _refspec(forge, "*")] if named else [HEADS])


def _refspec(forge: Forge, number: int | str) -> str:
    head = forge.heads.format(number)
    return f"+{head}:{head}"
