"""Pages of what a repository has of one kind, newest first.

What every forge's list must tell, and lists that are read by REST alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import dropwhile
from typing import Any, Final, Literal, NamedTuple, Protocol

from tasks.harvest.dates import utc
from tasks.harvest.forge.cache import DETAILS, ForgeCache, Listed
from tasks.harvest.forge.client import ForgeClient
from tasks.harvest.git.command import is_object_id

Order = Literal["created", "updated"]
Item = dict[str, Any]


SAID: Final = "said"
"""Field of what a list said of a thread: how many comments it has, which is no field of a thread."""


class Page(NamedTuple):
    """One page of a list."""

    pulls: list[Listed]
    oldest: str
    """Date by which it is ordered of its last item, also where that is of another topic; empty for an empty page."""
    top: bool = False
    """Whether it holds the newest of all."""
    hidden: frozenset[int] = frozenset()
    """Numbers of those on it that are not harvested, and may have been before."""


class Lister(Protocol):
    """Lists what there is, and notes what the pages say beside it."""

    cache: ForgeCache
    page: int
    """Items a page."""
    repository: dict[str, Any]
    """The repository's own resource, where a page has it."""
    etag: str | None
    """Of the list's first page by update, where the forge gives one."""
    renewed: bool
    """Whether another repository has taken the name since the cache was filled."""
    newest: str
    """Latest update that was seen when the first page came: whatever changes later has a later one."""

    def updated(self, etag: str | None, bound: str) -> Iterator[Page]:
        """Pages by update down to a moment or further; none if `etag` shows that nothing changed."""

    def created(self, start: str, passed: int = 0) -> Iterator[Page]:
        """Pages by creation, from the one on which the first item of `start` or earlier stands."""


def object_id(said: str | None) -> str | None:
    """An object's id, or None where a server says anything else."""
    return said if said and is_object_id(said) else None


class Queries(NamedTuple):
    """How a list is asked for."""

    path: str
    """Below the repository."""
    updated: Callable[[str], Item]
    """What is asked for all that changed since a moment."""
    created: Callable[[str], Item]
    """What is asked for all that was created up to a moment, the newest first."""
    narrows: bool
    """Whether the latter leaves out what is younger; if not, pages that are known are passed over by number."""


class RestLister:
    """A list of GitLab's or Gitea's."""

    def __init__(
        self,
        client: ForgeClient,
        cache: ForgeCache,
        queries: Queries,
        listed: Callable[[Item], Listed | None],
        detail: Callable[[Item], Item],
    ) -> None:
        self.cache = cache
        self.page = client.page
        self.repository: dict[str, Any] = {}
        self.etag: str | None = None
        self.renewed = False
        self.newest = ""
        self._client = client
        self._queries = queries
        self._listed = listed
        self._detail = detail

    def updated(self, etag: str | None, bound: str) -> Iterator[Page]:
        """Pages by update; a list that knows no such order gives what changed since `bound`."""
        return self._pages(self._queries.updated(bound), "updated")

    def created(self, start: str, passed: int = 0) -> Iterator[Page]:
        """Pages by creation."""
        first = 1 if self._queries.narrows else passed // self.page + 1
        pages = self._pages(self._queries.created(start), "created", first)
        return dropwhile(lambda page: page.oldest > start, pages)

    def _pages(self, query: Item, order: Order, first: int = 1) -> Iterator[Page]:
        asked = query | ({"page": first} if first > 1 else {})
        for number, answer in enumerate(self._client.pages(self._queries.path, asked, absent=True), first):
            if answer.status != 200:  # a repository may have no tracker; that it is there has been seen
                return
            found, hidden = [], set()
            for item in answer.data:
                told = self._detail(item)
                if (listed := self._listed(item)) is None:
                    hidden.add(told["number"])
                else:
                    self.cache.keep_thread(told, DETAILS)
                    found.append(listed)
            if number == 1:
                self.newest = max((utc(item["updated_at"]) for item in answer.data), default="")
            oldest = min((utc(item[f"{order}_at"]) for item in answer.data), default="")
            yield Page(found, oldest, number == 1, frozenset(hidden))
