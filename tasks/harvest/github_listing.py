"""Pages of a repository's pull requests, newest first, by GraphQL or REST, from any date on.

GraphQL can only page from the newest on. REST pages have numbers, so a date far back is found by interpolation: behind
2,000 newer pull requests two or three pages are looked at, not twenty. GitHub's search could do it in one request, but
stops at 1,000 results and may silently leave some out.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from tasks.harvest.git.command import is_object_id
from tasks.harvest.github_cache import GithubCache, Listed
from tasks.harvest.github_client import PAGE, Answer, Client, QueryTooLargeError
from tasks.harvest.github_links import last_page
from tasks.harvest.github_rest import detail

Order = Literal["created", "updated"]

QUERY: Final = """
query($owner: String!, $name: String!, $first: Int!, $after: String, $field: IssueOrderField!) {
  repository(owner: $owner, name: $name) {
    defaultBranchRef { target { oid } }
    newest: pullRequests(first: 1, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { updatedAt } }
    pullRequests(first: $first, after: $after, orderBy: {field: $field, direction: DESC}) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes {
        number createdAt updatedAt state headRefOid baseRefOid
        mergeCommit { oid }
        author { login __typename }
      }
    }
  }
}
"""


class Page(NamedTuple):
    """One page of the list."""

    pulls: list[Listed]
    top: bool = False
    """Whether it holds the newest of all."""


class Lister:
    """Lists pull requests, and notes what the pages say beside them."""

    def __init__(self, client: Client, cache: GithubCache, interface: Literal["graphql", "rest"]) -> None:
        self.client = client
        self.cache = cache
        self.interface = interface
        self.trunk: str | None = None
        """Commit of the default branch; GraphQL says it."""
        self.repository: dict[str, Any] = {}
        """The repository's own resource; REST gives it with every pull request."""
        self.etag: str | None = None
        """Of the REST list's first page by update."""
        self.newest = ""
        """Latest update that was seen when the first page came: whatever changes later has a later one."""
        self._count = 0

    def updated(self, etag: str | None = None) -> Iterator[Page]:
        """Pages by update; none if `etag` shows that nothing changed."""
        return self._graphql("updated") if self.interface == "graphql" else self._rest("updated", etag)

    def created(self, start: str) -> Iterator[Page]:
        """Pages by creation, from the one on which the first pull request of `start` or earlier stands."""
        pages = self._graphql("created") if self.interface == "graphql" else self._rest("created", None)
        first = next(pages)
        if not first.pulls or first.pulls[-1].created_at <= start or self._count <= PAGE:
            yield first
            yield from pages
        else:
            yield from self._from(start, first.pulls)

    def _from(self, start: str, top: list[Listed]) -> Iterator[Page]:
        """REST pages from `start` on; `top` is the first page of all, which ends after `start`."""
        last = max(-(-self._count // PAGE), 2)
        below, above = [(0, top[0].created_at), (1, top[-1].created_at)], (last + 1, "")
        seen: dict[int, list[Listed]] = {}
        while above[0] - below[-1][0] > 1:
            number = probe(start, below, above, bisect=len(seen) > 2 and len(seen) % 2 == 1)
            pulls = seen[number] = self._numbered(number)
            if pulls and pulls[-1].created_at > start:
                below.append((number, pulls[-1].created_at))
            elif pulls and pulls[0].created_at > start:
                above = number, ""
                break
            else:
                above = number, pulls[0].created_at if pulls else ""
        number = min(above[0], last)
        pulls = seen[number] if number in seen else self._numbered(number)
        while pulls:
            yield Page(pulls)
            if len(pulls) < PAGE:
                return
            number += 1
            pulls = self._numbered(number)

    def _graphql(self, order: Order) -> Iterator[Page]:
        owner, name = self.client.repo.split("/")
        first, after = PAGE, None
        while True:
            variables = {"owner": owner, "name": name, "first": first, "after": after, "field": f"{order.upper()}_AT"}
            try:
                data, errors = self.client.query(QUERY, variables)
            except QueryTooLargeError:
                if first == 1:
                    raise
                first = max(first // 4, 1)
                continue
            repository = data.get("repository")
            if repository is None or errors:
                self.client.judge(errors)
                first = max(first // 2, 1)
                continue
            branch = repository["defaultBranchRef"]
            self.trunk = branch["target"]["oid"] if branch else None
            found = repository["pullRequests"]
            if after is None:
                self._count = found["totalCount"]
                self.newest = max((node["updatedAt"] for node in repository["newest"]["nodes"] if node), default="")
            yield Page([_from_graphql(node) for node in found["nodes"] if node], after is None)
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    def _rest(self, order: Order, etag: str | None) -> Iterator[Page]:
        for number, answer in enumerate(self.client.pages("/pulls", _by(order), etag), 1):
            if number == 1 and order == "updated":
                self.etag = answer.headers.get("etag", etag)
            if answer.status == 304:
                return
            pulls = self._listed(answer)
            if number == 1:
                self._count = (last_page(answer.headers.get("link", "")) or 1) * PAGE
                self.newest = max((item.updated_at for item in pulls), default="")
            yield Page(pulls, number == 1)

    def _numbered(self, number: int) -> list[Listed]:
        return self._listed(self.client.get("/pulls", _by("created") | {"per_page": PAGE, "page": number}))

    def _listed(self, answer: Answer) -> list[Listed]:
        for item in answer.data:
            self.cache.keep_thread(detail(item), "details")
            self.repository = (item.get("base") or {}).get("repo") or self.repository
        return [_from_rest(item) for item in answer.data]


def probe(start: str, below: Sequence[tuple[int, str]], above: tuple[int, str], bisect: bool = False) -> int:
    """The page on which `start` should stand if pull requests came as evenly as they did nearby.

    Args:
        start: the date that is looked for.
        below: pages that end after `start`, two or more, and when they end, the newest first.
        above: a later page that begins at `start` or before, and when; empty if that is not known.
        bisect: take the middle instead.
    """
    first, end = below[-1][0] + 1, above[0] - 1
    one, two = (below[-1], (end, above[1])) if above[1] else (below[-2], below[-1])
    newer, older = _seconds(one[1]), _seconds(two[1])
    if bisect or newer <= older:
        return (first + end) // 2
    place = one[0] + (newer - _seconds(start)) * (two[0] - one[0]) / (newer - older)
    return min(max(int(place) + 1, first), end)


def _seconds(moment: str) -> float:
    return datetime.datetime.fromisoformat(moment).timestamp()


def _by(order: Order) -> dict[str, Any]:
    return {"state": "all", "sort": order, "direction": "desc"}


def _object_id(said: str | None) -> str | None:
    """An object's id, or None where a server says anything else."""
    return said if said and is_object_id(said) else None


def _from_graphql(node: dict[str, Any]) -> Listed:
    merge = node.get("mergeCommit")
    merged = node["state"] == "MERGED"
    return Listed(
        number=node["number"],
        created_at=node["createdAt"],
        updated_at=node["updatedAt"],
        state="open" if node["state"] == "OPEN" else "closed",
        merged=merged,
        bot=(node.get("author") or {}).get("__typename") == "Bot",
        head=_object_id(node.get("headRefOid")),
        base=_object_id(node.get("baseRefOid")),
        merge=_object_id(merge["oid"]) if merge and merged else None,
    )


def _from_rest(item: dict[str, Any]) -> Listed:
    merged = item.get("merged_at") is not None
    return Listed(
        number=item["number"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        state=item["state"],
        merged=merged,
        bot=(item.get("user") or {}).get("type") == "Bot",
        head=_object_id((item.get("head") or {}).get("sha")),
        base=_object_id((item.get("base") or {}).get("sha")),
        merge=_object_id(item.get("merge_commit_sha")) if merged else None,
    )
