"""Threads of the selection: from the cache where they did not change, else from GitHub, and then kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tasks.base.errors import SourceError
from tasks.base.runs import StepRun
from tasks.harvest.github.at_date import thread_at
from tasks.harvest.github.cache import GithubCache
from tasks.harvest.github.client import Client, GoneError, QueryTooLargeError, UnavailableError
from tasks.harvest.github.graphql import graphql_threads
from tasks.harvest.github.rest import rest_commits, rest_files, rest_issues, rest_threads
from tasks.harvest.github.topics import PULL_REQUESTS, TOPICS
from tasks.harvest.params import GithubParams, PullReference, ResolvedPulls, ResolvedThreads

Item = dict[str, Any]


class Threads:
    """The threads of a selection. For a source that is not on GitHub there are none."""

    def __init__(self, run: StepRun, source: ResolvedPulls | ResolvedThreads) -> None:
        self.fetched = 0
        self._topic = TOPICS[source.kind] if isinstance(source, ResolvedThreads) else PULL_REQUESTS
        self._run = run
        self._source = source
        self._github = source.remote.github if source.remote else None
        self._client: Client | None = None
        self._repo = source.remote.repo if source.remote else ""
        below = self._topic.folder
        self._cache = GithubCache(run.store, self._github, self._repo, below) if self._github else None

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return self._client.requests if self._client else 0

    def read(self) -> None:
        """Fetches every thread that is new or changed; each is kept as it comes, so a broken run goes on from there.

        Raises:
            GoneError: one is gone; the next run selects without it.
        """
        if self._cache is None or self._github is None:
            return
        selection = self._source.selection
        missing = [item for item in selection if not self._is_kept(item)]
        if not missing:
            return
        try:
            for thread in self._ask(missing, self._github):
                self._cache.keep_thread(thread)
                self.fetched += 1
                self._run.progress(len(selection) - len(missing) + self.fetched, len(selection), f"{self._topic.noun}s")
        except GoneError as error:
            self._cache.forget(error.number)
            raise

    def _is_kept(self, reference: PullReference) -> bool:
        """Whether the cache has the thread, with its events where these are needed."""
        thread = self._cache.thread(reference.number, reference.updated_at) if self._cache else None
        return thread is not None and (thread["events"] is not None or not reference.is_late)

    @property
    def on_github(self) -> bool:
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
                f"harvest: the thread of {self._topic.noun} #{reference.number} left the cache; run again"
            )
        return thread

    def files(self, reference: PullReference) -> list[Item]:
        """Changed files by the files API, where git has no head."""
        found = self._of_head("files", reference, rest_files)
        if left_out := sum(item["left_out"] for item in found):
            self._run.count("patches_left_out", left_out)
        return [{name: value for name, value in item.items() if name != "left_out"} for item in found]

    def commits(self, reference: PullReference) -> list[Item]:
        """Commits by the API, where git has no head."""
        return self._of_head("commits", reference, rest_commits)

    def _of_head(self, kind: str, reference: PullReference, read: Callable[[Client, int], list[Item]]) -> list[Item]:
        """What the API says of a head, asked once for each head."""
        assert self._cache is not None
        found = self._cache.of_head(kind, reference.number, reference.head)
        if found is None:
            found = read(self._connect(), reference.number)
            self._cache.keep_of_head(kind, reference.number, reference.head, found)
        return found

    def _ask(self, missing: Sequence[PullReference], github: GithubParams) -> Iterator[Item]:
        client = self._connect()
        assert self._cache is not None
        left = list(missing)
        if github.threads == "graphql" or (github.threads == "auto" and client.token is not None):
            try:
                for thread in graphql_threads(client, self._topic, missing):
                    left = [item for item in left if item.number != thread["number"]]
                    yield thread
            except (UnavailableError, QueryTooLargeError):
                if github.threads == "graphql" or self._topic.rest is None:
                    raise
        if left:
            yield from (rest_threads if self._topic is PULL_REQUESTS else rest_issues)(client, self._cache, left)

    def _connect(self) -> Client:
        if self._client is None:
            assert self._github is not None

            def waiting(left: float, why: str) -> None:
                self._run.progress(
                    self.fetched, self._source.count, f"{self._topic.noun}s", waiting=round(left), why=why
                )

            self._client = Client(self._github, self._repo, waiting, self._topic.noun)
        return self._client
