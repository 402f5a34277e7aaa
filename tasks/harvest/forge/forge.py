"""What each forge can be asked, whatever its interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from tasks.base.store import Store
from tasks.harvest.forge.cache import ForgeCache, Index
from tasks.harvest.forge.index import Wanted
from tasks.harvest.params import AnyForge, PullReference, ReleaseNote, ReleasesParams, Remote

Item = dict[str, Any]

NOUNS: Final = {"pull": "pull request", "issue": "issue", "discussion": "discussion"}
"""What forges have threads about."""
FOLDERS: Final = {"pull": "", "issue": "issues", "discussion": "discussions"}
"""Where their threads are kept below the repository's cache, and their parameters' names."""


class Facts(NamedTuple):
    """Where a repository is."""

    clone_url: str
    web_url: str


class Forge(Protocol):
    """One repository on a forge."""

    @property
    def name(self) -> str:
        """As messages name it."""

    @property
    def heads(self) -> str:
        """Reference of a pull request's head, with a place for the number."""

    @property
    def threads_of(self) -> frozenset[str]:
        """Keys of `NOUNS`."""

    @property
    def server(self) -> AnyForge:
        """How it is reached."""

    @property
    def requests(self) -> int:
        """How many requests were made."""

    def identify(self, cache: ForgeCache) -> None:
        """Empties the cache if it is that of another repository of the same name."""

    def facts(self) -> Facts:
        """Where the repository is.

        Raises:
            InputError: there is none of that name, or the token may not see it.
        """

    def refresh(
        self, kind: str, cache: ForgeCache, index: Index, params: Wanted, until: int
    ) -> tuple[Index, str | None]:
        """The index of a kind brought up to date, and the default branch's commit where the answer says it."""

    def releases(self, params: ReleasesParams, until: str) -> tuple[ReleaseNote, ...]:
        """What is told of the wanted releases that were published up to a moment, newest first."""

    def remote(self, clone_url: str) -> Remote:
        """Where the mirror is fetched from."""

    def threads(self, kind: str, cache: ForgeCache, references: Sequence[PullReference]) -> Iterator[Item]:
        """Threads as they are found; events are null where they were not asked for."""

    def files(self, number: int) -> list[Item]:
        """Changed files of a pull request of which git has no head; `left_out` marks one without its patch."""

    def commits(self, number: int) -> list[Item]:
        """Its commits, the oldest first."""


def cache_of(store: Store, server: AnyForge, repo: str, kind: str) -> ForgeCache:
    """Where a repository's threads of a kind are kept."""
    return ForgeCache(store, server, repo, FOLDERS[kind])
