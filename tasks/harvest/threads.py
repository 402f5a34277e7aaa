"""Threads of the selection: from the cache where they did not change, else from the forge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.base.errors import SourceError
from tasks.base.runs import StepRun
from tasks.harvest.forge.at_date import thread_at
from tasks.harvest.forge.client import GoneError
from tasks.harvest.forge.forge import NOUNS, Forge, cache_of
from tasks.harvest.forges import forge_at
from tasks.harvest.params import PullReference, ResolvedPulls, ResolvedThreads

Item = dict[str, Any]


class Threads:
    """The threads of a selection. For a source that is on no forge there are none."""

    def __init__(self, run: StepRun, source: ResolvedPulls | ResolvedThreads) -> None:
        self.fetched = 0
        self._kind = source.kind if isinstance(source, ResolvedThreads) else "pull"
        self._run = run
        self._source = source
        server = source.remote.server if source.remote else None
        repo = source.remote.repo if source.remote else ""
        self._forge: Forge | None = forge_at(server, repo, self._waiting) if server else None
        self._cache = cache_of(run.store, server, repo, self._kind) if server else None

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return self._forge.requests if self._forge else 0

    def read(self) -> None:
        """Fetches every thread that is new or changed.

        Each is kept as it comes, so a broken run goes on from there.

        Raises:
            GoneError: one is gone; the next run selects without it.
        """
        if self._cache is None or self._forge is None:
            return
        selection = self._source.selection
        missing = [item for item in selection if not self._is_kept(item)]
        if not missing:
            return
        try:
            for thread in self._forge.threads(self._kind, self._cache, missing):
                self._cache.keep_thread(thread)
                self.fetched += 1
                self._run.progress(
                    len(selection) - len(missing) + self.fetched, len(selection), f"{NOUNS[self._kind]}s"
                )
        except GoneError as error:
            self._cache.forget(error.number)
            raise

    def _is_kept(self, reference: PullReference) -> bool:
        """Whether the cache has the thread, with its events where these are needed."""
        thread = self._cache.thread(reference.number, reference.updated_at) if self._cache else None
        return thread is not None and (thread["events"] is not None or not reference.is_late)

    @property
    def on_forge(self) -> bool:
        """Whether the source has threads at all."""
        return self._cache is not None

    def of(self, reference: PullReference) -> Item:
        """The thread as it stood at the source's date, after `read`.

        Raises:
            SourceError: the cache was emptied meanwhile.
        """
        return thread_at(self.found(reference), self._source.until)

    def found(self, reference: PullReference) -> Item:
        """The thread as it was found, after `read`.

        Raises:
            SourceError: the cache was emptied meanwhile.
        """
        thread = self._cache.thread(reference.number, reference.updated_at) if self._cache else None
        if thread is None:
            raise SourceError(
                f"harvest: the thread of {NOUNS[self._kind]} #{reference.number} left the cache; run again"
            )
        return thread

    def files(self, reference: PullReference) -> list[Item]:
        """Changed files by the files API, where git has no head."""
        assert self._forge is not None
        found = self._of_head("files", reference, self._forge.files)
        if left_out := sum(item["left_out"] for item in found):
            self._run.count("patches_left_out", left_out)
        return [{name: value for name, value in item.items() if name != "left_out"} for item in found]

    def commits(self, reference: PullReference) -> list[Item]:
        """Commits by the API, where git has no head."""
        assert self._forge is not None
        return self._of_head("commits", reference, self._forge.commits)

    def _of_head(self, kind: str, reference: PullReference, read: Callable[[int], list[Item]]) -> list[Item]:
        """What the API says of a head, asked once for each head."""
        assert self._cache is not None
        found = self._cache.of_head(kind, reference.number, reference.head)
        if found is None:
            found = read(reference.number)
            self._cache.keep_of_head(kind, reference.number, reference.head, found)
        return found

    def _waiting(self, left: float, why: str) -> None:
        told: dict[str, float | int | str] = {"waiting": round(left), "why": why}
        self._run.progress(self.fetched, self._source.count, f"{NOUNS[self._kind]}s", **told)
