"""Pages of a repository's pull requests, issues or discussions, newest first, by GraphQL or REST."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile
from typing import Any, Final, Literal

from tasks.harvest.forge.cache import DETAILS, ForgeCache, Listed
from tasks.harvest.forge.client import Answer
from tasks.harvest.forge.listing import Order, Page, object_id
from tasks.harvest.github.client import PAGE, Client, QueryTooLargeError, UnavailableError
from tasks.harvest.github.rest import detail, issue_detail
from tasks.harvest.github.topics import PULL_REQUESTS, Topic

QUERY: Final = """
query($owner: String!, $name: String!, $first: Int!, $after: String, $field: %(order)s!) {
  repository(owner: $owner, name: $name) {
    databaseId
    defaultBranchRef { target { oid } }
    newest: %(many)s(first: 1, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { updatedAt } }
    %(many)s(first: $first, after: $after, orderBy: {field: $field, direction: DESC}) {
      pageInfo { hasNextPage endCursor }
      nodes { number createdAt updatedAt closedAt author { login __typename } %(listed)s }
    }
  }
}
"""
"""Filled in from a topic."""


class GithubLister:
    """Lists what a topic has, and notes what the pages say beside it."""

    page = PAGE

    def __init__(
        self, client: Client, cache: ForgeCache, interface: Literal["graphql", "rest"], topic: Topic = PULL_REQUESTS
    ) -> None:
        self.client = client
        self.topic = topic
        self.cache = cache
        self.interface = interface
        self.trunk: str | None = None
        """Commit of the default branch; GraphQL says it."""
        self.repository: dict[str, Any] = {}
        """The repository's own resource; REST gives it with every pull request."""
        self.etag: str | None = None
        """Of the REST list's first page by update."""
        self.renewed = False
        """Whether another repository has taken the name since the cache was filled."""
        self.newest = ""
        """Latest update that was seen when the first page came: whatever changes later has a later one."""

    def updated(self, etag: str | None, bound: str) -> Iterator[Page]:
        """Pages by update, as far as they go; none if `etag` shows that nothing changed."""
        return self._graphql("updated") if self.interface == "graphql" else self._rest("updated", etag)

    def created(self, start: str, passed: int = 0) -> Iterator[Page]:
        """Pages by creation, from the one on which the first item of `start` or earlier stands.

        Args:
            start: RFC 3339.
            passed: how many later ones are known; where a listing broke off, REST's numbered pages go on after them.
        """
        if passed >= PAGE and self.topic.rest is not None:
            pages = self._rest("created", None, passed // PAGE + 1)
        else:
            pages = self._graphql("created") if self.interface == "graphql" else self._rest("created", None)
        return dropwhile(lambda page: page.oldest > start, pages)

    def _graphql(self, order: Order) -> Iterator[Page]:
        owner, name = self.client.repo.split("/")
        first, after = PAGE, None
        while True:
            variables = {"owner": owner, "name": name, "first": first, "after": after, "field": f"{order.upper()}_AT"}
            try:
                data, errors = self.client.query(QUERY % self.topic._asdict(), variables)
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
            self._identify(repository["databaseId"])
            branch = repository["defaultBranchRef"]
            self.trunk = branch["target"]["oid"] if branch else None
            found = repository[self.topic.many]
            if after is None:
                self.newest = max((node["updatedAt"] for node in repository["newest"]["nodes"] if node), default="")
            listed = [_from_graphql(node) for node in found["nodes"] if node]
            yield Page(listed, _last(listed, order), after is None)
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    def _rest(self, order: Order, etag: str | None, first: int = 1) -> Iterator[Page]:
        if self.topic.rest is None:
            raise UnavailableError(f"GitHub gives {self.topic.noun}s by GraphQL only")
        query = _by(order) | ({"page": first} if first > 1 else {})
        may_lack = self.topic is not PULL_REQUESTS
        for number, answer in enumerate(self.client.pages(self.topic.rest, query, etag, may_lack), first):
            if number == 1 and order == "updated":
                self.etag = answer.headers.get("etag", etag)
            if answer.status == 304:
                return
            if answer.status != 200:  # a repository may have no tracker
                self.client.get("")  # says so if it is the repository that is not there
                return
            pulls = self._listed(answer)
            if number == 1:
                self.newest = max((item["updated_at"] for item in answer.data), default="")
            yield Page(pulls, answer.data[-1][f"{order}_at"] if answer.data else "", number == 1)

    def _identify(self, identity: int) -> None:
        """Empties the cache if it is that of another repository of the same name."""
        if not self.cache.claim(identity):
            self.renewed = True

    def _listed(self, answer: Answer) -> list[Listed]:
        for item in answer.data:
            self.repository = (item.get("base") or {}).get("repo") or self.repository
        if self.repository:
            self._identify(self.repository["id"])
        own = [item for item in answer.data if self.topic is PULL_REQUESTS or "pull_request" not in item]
        for item in own:
            self.cache.keep_thread(detail(item) if self.topic is PULL_REQUESTS else issue_detail(item), DETAILS)
        return [_from_rest(item) for item in own]


def _last(listed: list[Listed], order: Order) -> str:
    """The date by which a page is ordered of its last item."""
    return min((item.updated_at if order == "updated" else item.created_at for item in listed), default="")


def _by(order: Order) -> dict[str, Any]:
    return {"state": "all", "sort": order, "direction": "desc"}


def _from_graphql(node: dict[str, Any]) -> Listed:
    merge = node.get("mergeCommit")
    return Listed(
        number=node["number"],
        created_at=node["createdAt"],
        updated_at=node["updatedAt"],
        closed_at=node["closedAt"],
        merged_at=node.get("mergedAt"),
        bot=(node.get("author") or {}).get("__typename") == "Bot",
        head=object_id(node.get("headRefOid")),
        base=object_id(node.get("baseRefOid")),
        merge=object_id(merge["oid"]) if merge and node.get("mergedAt") else None,
    )


def _from_rest(item: dict[str, Any]) -> Listed:
    return Listed(
        number=item["number"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        closed_at=item.get("closed_at"),
        merged_at=item.get("merged_at"),
        bot=(item.get("user") or {}).get("type") == "Bot",
        head=object_id((item.get("head") or {}).get("sha")),
        base=object_id((item.get("base") or {}).get("sha")),
        merge=object_id(item.get("merge_commit_sha")) if item.get("merged_at") else None,
    )
