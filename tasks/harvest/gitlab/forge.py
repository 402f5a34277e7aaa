"""GitLab as a forge: a list by update or creation, and of each thread that is new its discussions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from tasks.harvest.dates import rfc3339, seconds_of, utc
from tasks.harvest.forge.cache import DETAILS, ForgeCache, Index
from tasks.harvest.forge.client import OnWait
from tasks.harvest.forge.forge import NOUNS, Facts
from tasks.harvest.forge.index import Wanted, choose, refresh
from tasks.harvest.forge.listing import SAID, Queries, RestLister, object_id
from tasks.harvest.forge.releases import chosen
from tasks.harvest.gitlab.client import GitlabClient
from tasks.harvest.gitlab.shape import changed_file, detail, events, issue, listed, merge_request
from tasks.harvest.params import GitlabParams, PullReference, ReleaseNote, ReleasesParams, Remote

Item = dict[str, Any]

PATHS: Final = {"pull": "/merge_requests", "issue": "/issues"}
SWITCHES: Final = {"pull": "merge_requests_access_level", "issue": "issues_access_level"}
"""Fields of the project that say whether it has them."""
_NEWEST: Final = {"scope": "all", "state": "all", "sort": "desc"}


class GitlabForge:
    """One project on GitLab."""

    name = "GitLab"
    heads = "refs/merge-requests/{}/head"
    threads_of = frozenset(PATHS)

    def __init__(self, server: GitlabParams, repo: str, on_wait: OnWait | None) -> None:
        self.server = server
        self.repo = repo
        self._clients = {kind: GitlabClient(server, repo, on_wait, NOUNS[kind]) for kind in PATHS}
        self._project: Item = {}

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(client.requests for client in self._clients.values())

    def identify(self, cache: ForgeCache) -> None:
        """Empties the cache if it is that of another project of the same name."""
        cache.claim(self._facts()["id"])

    def facts(self) -> Facts:
        """Where the project is."""
        said = self._facts()
        return Facts(said["http_url_to_repo"], said["web_url"])

    def refresh(
        self, kind: str, cache: ForgeCache, index: Index, params: Wanted, until: int
    ) -> tuple[Index, str | None]:
        """The index brought up to date; where a project has switched off a kind, there is none of it."""
        if self._facts().get(SWITCHES[kind]) == "disabled":
            return Index(), None
        queries = Queries(PATHS[kind], _updated, _created, narrows=True)
        index = refresh(index, RestLister(self._clients[kind], cache, queries, listed, detail), params, until)
        if kind == "pull":
            index = self._with_forks(index, params, until)
        return index, None

    def releases(self, params: ReleasesParams, until: str) -> tuple[ReleaseNote, ...]:
        """What is told of the wanted releases; GitLab marks none as not final."""
        found = self._clients["pull"].items("/releases")
        told = [
            {
                "tag_name": item["tag_name"],
                "name": item.get("name"),
                "body": item.get("description"),
                "html_url": (item.get("_links") or {}).get("self"),
                "published_at": utc(item["released_at"]),
            }
            for item in found
            if item.get("released_at")
        ]
        return chosen(told, params, until)

    def remote(self, clone_url: str) -> Remote:
        """Where the mirror is fetched from."""
        return Remote(url=clone_url, repo=self.repo, gitlab=self.server)

    def threads(self, kind: str, cache: ForgeCache, references: Sequence[PullReference]) -> Iterator[Item]:
        """Threads, one request each; of an issue without a word none.

        Events cost two more, of those that are late.
        """
        client = self._clients[kind]
        for reference in references:
            path = f"{PATHS[kind]}/{reference.number}"
            head = cache.thread(reference.number, reference.updated_at, DETAILS) or detail(client.get(path).data)
            is_silent = head.pop(SAID, 1) == 0 and kind == "issue" and not reference.is_late
            discussions = [] if is_silent else client.items(f"{path}/discussions")
            happened = None
            if reference.is_late:
                states, labels = (self._maybe(client, f"{path}/resource_{of}_events") for of in ("state", "label"))
                happened = events(discussions, states, labels)
            yield (merge_request if kind == "pull" else issue)(head, discussions, happened)

    def files(self, number: int) -> list[Item]:
        """Changed files by the API."""
        return [changed_file(item) for item in self._clients["pull"].items(f"/merge_requests/{number}/diffs")]

    def commits(self, number: int) -> list[Item]:
        """Commits by the API, which has the newest first."""
        found = self._clients["pull"].items(f"/merge_requests/{number}/commits")
        return [{"sha": item["id"], "message": item["message"].rstrip("\n")} for item in found[::-1]]

    def _facts(self) -> Item:
        if not self._project:
            self._project = self._clients["pull"].get("").data
        return self._project

    def _with_forks(self, index: Index, params: Wanted, until: int) -> Index:
        """The index with the first commits of those to which the branch was moved forward: git cannot tell them, and
        GitLab's list does not.
        """
        found = dict(index.pulls)
        for reference in choose(found, params, until):
            item = found[reference.number]
            if item.merged_at and item.merge is None and item.head and item.fork is None:
                said = self._clients["pull"].get(f"/merge_requests/{item.number}").data.get("diff_refs") or {}
                found[item.number] = item.model_copy(update={"fork": object_id(said.get("base_sha"))})
        return index.model_copy(update={"pulls": found})

    @staticmethod
    def _maybe(client: GitlabClient, path: str) -> list[Item]:
        """A list that older servers do not have."""
        return [item for answer in client.pages(path, absent=True) if answer.status == 200 for item in answer.data]


def _updated(bound: str) -> Item:
    return _NEWEST | {"order_by": "updated_at"} | ({"updated_after": bound} if bound else {})


def _created(start: str) -> Item:
    """GitLab's dates have parts of a second, and of these the bound is the last."""
    bound = {"created_before": rfc3339(seconds_of(start) + 1)} if start else {}
    return _NEWEST | {"order_by": "created_at"} | bound
