"""Which pull requests there are and which of them changed, for few requests.

The first time the list is read by creation, newest first, until the selection is complete. After that only the top of
the list by update is read, down to the watermark less an overlap; pages shift while others write, so what comes twice
is taken once.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Final, Literal

from tasks.harvest.dates import day_start, rfc3339
from tasks.harvest.github_cache import GithubCache, Index, Listed
from tasks.harvest.github_client import Client, QueryTooLargeError
from tasks.harvest.github_rest import detail
from tasks.harvest.params import PullReference, PullsParams

OVERLAP: Final = datetime.timedelta(hours=1)
"""How far below the watermark an incremental listing goes, for clocks that differ and writes between two pages."""

Order = Literal["created", "updated"]

QUERY: Final = """
query($owner: String!, $name: String!, $first: Int!, $after: String, $field: IssueOrderField!) {
  repository(owner: $owner, name: $name) {
    defaultBranchRef { target { oid } }
    pullRequests(first: $first, after: $after, orderBy: {field: $field, direction: DESC}) {
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


class Lister:
    """Lists pull requests by GraphQL or REST, and notes what the pages say beside them."""

    def __init__(self, client: Client, cache: GithubCache, interface: Literal["graphql", "rest"]) -> None:
        self.client = client
        self.cache = cache
        self.interface = interface
        self.trunk: str | None = None
        """Commit of the default branch; GraphQL says it."""
        self.repository: dict[str, Any] = {}
        """The repository's own resource; REST gives it with every pull request."""
        self.etag: str | None = None

    def pages(self, order: Order, etag: str | None = None) -> Iterator[list[Listed]]:
        """Pages of pull requests, newest first by `order`; none if `etag` shows that nothing changed."""
        return self._graphql(order) if self.interface == "graphql" else self._rest(order, etag)

    def _graphql(self, order: Order) -> Iterator[list[Listed]]:
        owner, name = self.client.repo.split("/")
        first, after = 100, None
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
            yield [_from_graphql(node) for node in found["nodes"] if node]
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    def _rest(self, order: Order, etag: str | None) -> Iterator[list[Listed]]:
        query = {"state": "all", "sort": order, "direction": "desc"}
        for number, answer in enumerate(self.client.pages("/pulls", query, etag)):
            if number == 0 and order == "updated":
                self.etag = answer.headers.get("etag", etag)
            if answer.status == 304:
                return
            for item in answer.data:
                self.cache.keep_thread(detail(item), "details")
                self.repository = (item.get("base") or {}).get("repo") or self.repository
            yield [_from_rest(item) for item in answer.data]


def refresh(index: Index, lister: Lister, params: PullsParams, until: int) -> Index:
    """The index brought up to date, and read further back where the selection needs it."""
    pulls = dict(index.pulls)
    watermark = index.watermark
    covered = index.covered_since
    etag = index.etag
    if covered is not None:
        bound = _earlier(watermark)
        for page in lister.pages("updated", etag):
            pulls |= {item.number: item for item in page if item.created_at >= covered}
            if any(item.updated_at < bound for item in page):
                break
        etag = lister.etag
    if covered is None or not _complete(pulls, covered, params, until):
        covered = ""
        for page in lister.pages("created"):
            pulls |= {item.number: item for item in page}
            if page and _complete(pulls, page[-1].created_at, params, until):
                covered = page[-1].created_at
                break
    watermark = max([watermark, *(item.updated_at for item in pulls.values())])
    news = {"pulls": pulls, "watermark": watermark, "covered_since": covered, "etag": etag}
    known = lister.repository
    if not index.clone_url and "clone_url" in known:
        news |= {"clone_url": known["clone_url"], "web_url": known["html_url"]}
    return index.model_copy(update=news)


def choose(pulls: dict[int, Listed], params: PullsParams, until: int) -> tuple[PullReference, ...]:
    """The selected pull requests, newest first."""
    since, last = rfc3339(day_start(params.since)) if params.since else "", rfc3339(until)
    found = sorted(
        (item for item in pulls.values() if since <= item.created_at <= last and _wanted(item, params)),
        key=lambda item: (item.created_at, item.number),
        reverse=True,
    )
    return tuple(
        PullReference(number=item.number, updated_at=item.updated_at, head=item.head, merge=item.merge, base=item.base)
        for item in found[: params.limit]
    )


def _complete(pulls: dict[int, Listed], covered: str, params: PullsParams, until: int) -> bool:
    """Whether nothing older than `covered` can belong to the selection."""
    if covered == "" or (params.since is not None and covered < rfc3339(day_start(params.since))):
        return True
    known = {number: item for number, item in pulls.items() if item.created_at >= covered}
    return params.limit is not None and len(choose(known, params, until)) == params.limit


def _wanted(item: Listed, params: PullsParams) -> bool:
    if params.bots == "drop" and item.bot:
        return False
    return params.state == "all" or (item.merged if params.state == "merged" else item.state == params.state)


def _earlier(watermark: str) -> str:
    moment = datetime.datetime.strptime(watermark, "%Y-%m-%dT%H:%M:%SZ") if watermark else datetime.datetime.min
    return (moment - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ") if watermark else ""


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
        head=node.get("headRefOid"),
        base=node.get("baseRefOid"),
        merge=merge["oid"] if merge and merged else None,
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
        head=(item.get("head") or {}).get("sha"),
        base=(item.get("base") or {}).get("sha"),
        merge=item.get("merge_commit_sha") if merged else None,
    )
