"""GitHub as a forge: GraphQL where it is to be had, else REST."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from tasks.base.errors import InputError
from tasks.harvest.forge.cache import ForgeCache, Index
from tasks.harvest.forge.client import OnWait
from tasks.harvest.forge.forge import FOLDERS, NOUNS, Facts
from tasks.harvest.forge.index import Wanted, refresh
from tasks.harvest.forge.releases import chosen
from tasks.harvest.github.client import Client, QueryTooLargeError, UnavailableError
from tasks.harvest.github.graphql import graphql_threads
from tasks.harvest.github.listing import GithubLister
from tasks.harvest.github.rest import rest_commits, rest_files, rest_issues, rest_threads
from tasks.harvest.github.topics import DISCUSSIONS, ISSUES, PULL_REQUESTS
from tasks.harvest.params import GithubParams, PullReference, ReleaseNote, ReleasesParams, Remote

Item = dict[str, Any]

TOPICS: Final = {"pull": PULL_REQUESTS, "issue": ISSUES, "discussion": DISCUSSIONS}


class GithubForge:
    """One repository on GitHub."""

    name = "GitHub"
    heads = "refs/pull/{}/head"
    threads_of = frozenset(NOUNS)

    def __init__(self, server: GithubParams, repo: str, on_wait: OnWait | None) -> None:
        self.server = server
        self.repo = repo
        self._on_wait = on_wait
        self._clients: dict[str, Client] = {}

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(client.requests for client in self._clients.values())

    def identify(self, cache: ForgeCache) -> None:
        """Nothing: lists say whose they are."""

    def facts(self) -> Facts:
        """Where the repository is."""
        said = self._client("pull").get("").data
        return Facts(said["clone_url"], said["html_url"])

    def refresh(
        self, kind: str, cache: ForgeCache, index: Index, params: Wanted, until: int
    ) -> tuple[Index, str | None]:
        """The index brought up to date, and by GraphQL the commit of the default branch."""
        client, topic = self._client(kind), TOPICS[kind]
        try:
            if self._asks_graphql(client):
                lister = GithubLister(client, cache, "graphql", topic)
                try:
                    return refresh(index, lister, params, until), lister.trunk
                except UnavailableError:
                    if self.server.threads == "graphql" or topic.rest is None:
                        raise
            return refresh(index, GithubLister(client, cache, "rest", topic), params, until), None
        except UnavailableError as error:
            if kind == "pull":
                raise
            folder = FOLDERS[kind]
            raise InputError(
                f"sources.{folder}: {error}; set GITHUB_TOKEN and github.threads: auto, or {folder}: null"
            ) from error

    def releases(self, params: ReleasesParams, until: str) -> tuple[ReleaseNote, ...]:
        """What is told of the wanted releases."""
        return chosen(self._client("pull").items("/releases"), params, until)

    def remote(self, clone_url: str) -> Remote:
        """Where the mirror is fetched from."""
        return Remote(url=clone_url, repo=self.repo, github=self.server)

    def threads(self, kind: str, cache: ForgeCache, references: Sequence[PullReference]) -> Iterator[Item]:
        """Threads by GraphQL, and by REST what it cannot give."""
        client, topic = self._client(kind), TOPICS[kind]
        left = list(references)
        if self._asks_graphql(client):
            try:
                for thread in graphql_threads(client, topic, references):
                    left = [item for item in left if item.number != thread["number"]]
                    yield thread
            except (UnavailableError, QueryTooLargeError):
                if self.server.threads == "graphql" or topic.rest is None:
                    raise
        if left:
            yield from (rest_threads if kind == "pull" else rest_issues)(client, cache, left)

    def files(self, number: int) -> list[Item]:
        """Changed files by the files API."""
        return rest_files(self._client("pull"), number)

    def commits(self, number: int) -> list[Item]:
        """Commits by the API."""
        return rest_commits(self._client("pull"), number)

    def _asks_graphql(self, client: Client) -> bool:
        wish = self.server.threads
        return wish == "graphql" or (wish == "auto" and client.token is not None)

    def _client(self, kind: str) -> Client:
        if kind not in self._clients:
            self._clients[kind] = Client(self.server, self.repo, self._on_wait, NOUNS[kind])
        return self._clients[kind]
