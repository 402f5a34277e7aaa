"""Threads of pull requests by GraphQL: 34 to a query, and what did not fit on the first page many to a query.

The queries are valid against GitHub's public schema (checked by a test against the parts of it that they touch). Nodes
are priced at the `first` limits: 34 pull requests come to about 186,000 of the 500,000 that GitHub allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from tasks.harvest.github.at_date import EVENTS
from tasks.harvest.github.client import Client, QueryTooLargeError
from tasks.harvest.github.rest import ordered, rooted
from tasks.harvest.params import PullReference

Item = dict[str, Any]

BATCH: Final = 34
"""Pull requests a query; 10 seconds of GitHub's own time bound it."""

OVERFLOW_BATCH: Final = 50
"""Unfinished lists continued in one query."""

FRAGMENTS: Final = """
fragment who on Actor { login __typename }
fragment comment on IssueComment { fullDatabaseId author { ...who } createdAt body }
fragment remark on PullRequestReviewComment {
  fullDatabaseId author { ...who } createdAt body path line originalLine diffHunk replyTo { fullDatabaseId }
}
fragment event on PullRequestTimelineItems {
  __typename
  ... on LabeledEvent { createdAt label { name } }
  ... on UnlabeledEvent { createdAt label { name } }
  ... on ClosedEvent { createdAt }
  ... on ReopenedEvent { createdAt }
  ... on RenamedTitleEvent { createdAt previousTitle }
  ... on ConvertToDraftEvent { createdAt }
  ... on ReadyForReviewEvent { createdAt }
}
fragment review on PullRequestReview {
  id fullDatabaseId author { ...who } submittedAt body state
  comments(first: 50) { pageInfo { hasNextPage endCursor } nodes { ...remark } }
}
"""

_EVENT_TYPES: Final = (
    "[LABELED_EVENT, UNLABELED_EVENT, CLOSED_EVENT, REOPENED_EVENT, RENAMED_TITLE_EVENT, CONVERT_TO_DRAFT_EVENT,"
    " READY_FOR_REVIEW_EVENT]"
)

THREAD: Final = f"""
fragment thread on PullRequest {{
  id number title body url state mergedAt closedAt createdAt updatedAt isDraft
  author {{ ...who }}
  labels(first: 50) {{ nodes {{ name }} }}
  comments(first: 100) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...comment }} }}
  reviews(first: 100) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...review }} }}
  timelineItems(first: 100, itemTypes: {_EVENT_TYPES}) {{
    pageInfo {{ hasNextPage endCursor }} nodes {{ ...event }}
  }}
}}
"""

_MORE: Final = {
    "comments": "... on PullRequest { comments(first: 100, after: %s) { %s nodes { ...comment } } }",
    "reviews": "... on PullRequest { reviews(first: 50, after: %s) { %s nodes { ...review } } }",
    "timelineItems": "... on PullRequest { timelineItems(first: 100, after: %s, itemTypes: "
    + _EVENT_TYPES
    + ") { %s nodes { ...event } } }",
    "remarks": "... on PullRequestReview { comments(first: 100, after: %s) { %s nodes { ...remark } } }",
}


class Unfinished(NamedTuple):
    """A list of which GitHub gave only the first page."""

    kind: str
    """Key of `_MORE`."""
    thread: str
    """Node id of the pull request."""
    node: str
    """Node id of the pull request or review that the list belongs to."""
    cursor: str
    items: list[Item]
    """Where the rest goes."""
    remarks: list[Item]
    """Where comments of further reviews go."""


def graphql_threads(client: Client, references: Sequence[PullReference]) -> Iterator[Item]:
    """Threads of the pull requests, those that fit on first pages first; a batch that GitHub cannot answer is halved.

    Raises:
        QueryTooLargeError: a single pull request is too much; REST can read it.
        UnavailableError: there is no GraphQL here.
    """
    size = BATCH
    numbers = [item.number for item in references]
    waiting: dict[str, _Gathered] = {}
    unfinished: list[Unfinished] = []
    while numbers:
        try:
            batch = _batch(client, numbers[:size], unfinished)
        except QueryTooLargeError:
            if size == 1:
                raise
            size = max(size // 2, 1)
            continue
        if len(batch) < len(numbers[:size]):  # partial data: what is missing is asked for again, less at a time
            size = max(size // 2, 1)
        numbers = [number for number in numbers if number not in batch]
        open_ones = {item.thread for item in unfinished}
        for gathered in batch.values():
            if gathered.node["id"] in open_ones:
                waiting[gathered.node["id"]] = gathered
            else:
                yield gathered.thread()
    while unfinished:  # of all batches together, so that a long thread costs no request of its own
        unfinished = _continue(client, unfinished[:OVERFLOW_BATCH]) + unfinished[OVERFLOW_BATCH:]
    for gathered in waiting.values():
        yield gathered.thread()


def thread_query(numbers: Sequence[int]) -> str:
    """The query for the threads of some pull requests."""
    parts = " ".join(f"p{number}: pullRequest(number: {number}) {{ ...thread }}" for number in numbers)
    head = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) "
    return f"{head}{{ {parts} }} }}{THREAD}{FRAGMENTS}"


def overflow_query(unfinished: Sequence[Unfinished]) -> tuple[str, dict[str, str]]:
    """The query that continues unfinished lists, and its variables."""
    variables: dict[str, str] = {}
    parts, declared = [], []
    for number, item in enumerate(unfinished):
        more = _MORE[item.kind] % (f"$c{number}", "pageInfo { hasNextPage endCursor }")
        parts.append(f"n{number}: node(id: $i{number}) {{ {more} }}")
        declared.append(f"$i{number}: ID!, $c{number}: String!")
        variables |= {f"i{number}": item.node, f"c{number}": item.cursor}
    kinds = {item.kind for item in unfinished}
    used = [name for name, needed in _FRAGMENT_USERS.items() if kinds & needed]
    text = "".join(f"fragment {part}" for part in FRAGMENTS.split("fragment ")[1:] if part.split(" ", 1)[0] in used)
    return f"query({', '.join(declared)}) {{ {' '.join(parts)} }}\n{text}", variables


_FRAGMENT_USERS: Final = {
    "who": {"comments", "reviews", "remarks"},
    "comment": {"comments"},
    "remark": {"reviews", "remarks"},
    "review": {"reviews"},
    "event": {"timelineItems"},
}


class _Gathered(NamedTuple):
    """What has come of one pull request."""

    node: Item
    comments: list[Item]
    reviews: list[Item]
    remarks: list[Item]
    events: list[Item]

    def thread(self) -> Item:
        return _normal(self)


def _batch(client: Client, numbers: Sequence[int], unfinished: list[Unfinished]) -> dict[int, _Gathered]:
    """What GitHub gives of some pull requests by number; a part that came with an error is left out."""
    owner, name = client.repo.split("/")
    data, errors = client.query(thread_query(numbers), {"owner": owner, "name": name})
    nodes = [node for node in (data.get("repository") or {}).values() if node]
    if errors or len(nodes) < len(numbers):
        client.judge(errors)
        broken = {str(error["path"][1]) for error in errors if len(error.get("path") or []) > 1}
        nodes = [node for node in nodes if broken and f"p{node['number']}" not in broken]
    batch = {}
    for node in nodes:
        gathered = batch[node["number"]] = _Gathered(node, [], [], [], [])
        lists = {"comments": gathered.comments, "reviews": gathered.reviews, "timelineItems": gathered.events}
        for kind, items in lists.items():
            target = Unfinished(kind, node["id"], node["id"], "", items, gathered.remarks)
            _take(target, node[kind], unfinished)
    return batch


def _continue(client: Client, unfinished: list[Unfinished]) -> list[Unfinished]:
    text, variables = overflow_query(unfinished)
    data, errors = client.query(text, variables)
    if errors or any(data.get(f"n{number}") is None for number in range(len(unfinished))):
        client.judge(errors)
        return unfinished
    left: list[Unfinished] = []
    for number, item in enumerate(unfinished):
        field = "comments" if item.kind == "remarks" else item.kind
        _take(item, data[f"n{number}"][field], left)
    return left


def _take(target: Unfinished, page: Item, unfinished: list[Unfinished]) -> None:
    """Takes a page into the list that it belongs to; notes what is still missing."""
    for node in page["nodes"]:
        if node is None:
            continue
        target.items.append(node)
        if target.kind == "reviews":
            rest = Unfinished("remarks", target.thread, node["id"], "", target.remarks, [])
            _take(rest, node["comments"], unfinished)
    if page["pageInfo"]["hasNextPage"]:
        unfinished.append(target._replace(cursor=page["pageInfo"]["endCursor"]))


def _normal(gathered: _Gathered) -> Item:
    """The thread as REST would have given it."""
    node, comments, reviews, remarks, events = gathered
    return {
        "number": node["number"],
        "title": node["title"],
        "body": node["body"] or "",
        "url": node["url"],
        "state": "open" if node["state"] == "OPEN" else "closed",
        "merged_at": node["mergedAt"],
        "closed_at": node["closedAt"],
        "created_at": node["createdAt"],
        "updated_at": node["updatedAt"],
        "author": _author(node["author"]),
        "draft": node["isDraft"],
        "labels": sorted(label["name"] for label in (node["labels"] or {"nodes": []})["nodes"]),
        "comments": ordered([_comment(item, item["createdAt"]) for item in comments]),
        "reviews": ordered(
            [
                _comment(item, item["submittedAt"]) | {"state": item["state"]}
                for item in reviews
                if item["submittedAt"] and item["state"] != "PENDING"
            ]
        ),
        "review_comments": rooted([_remark(item) for item in remarks]),
        "events": [_event(item) for item in events],
    }


def _comment(item: Item, created_at: str) -> Item:
    return {
        "id": int(item["fullDatabaseId"]),
        "author": _author(item["author"]),
        "created_at": created_at,
        "body": item["body"],
    }


def _remark(item: Item) -> Item:
    reply = item["replyTo"]
    return _comment(item, item["createdAt"]) | {
        "path": item["path"],
        "line": item["originalLine"] if item["line"] is None else item["line"],
        "hunk": item["diffHunk"],
        "in_reply_to": int(reply["fullDatabaseId"]) if reply else None,
    }


def _event(item: Item) -> Item:
    label = (item.get("label") or {}).get("name")
    event = {"event": EVENTS[item["__typename"]], "created_at": item["createdAt"]}
    return event | {"was": label or item.get("previousTitle") or ""}


def _author(actor: Item | None) -> str:
    """Login as REST has it: a bot's ends in `[bot]`, a deleted account is `ghost`."""
    if actor is None:
        return "ghost"
    login = str(actor["login"])
    return f"{login}[bot]" if actor["__typename"] == "Bot" and not login.endswith("[bot]") else login
