"""What GitHub has threads about, pull requests, issues and discussions: how each is asked for, and its one shape.

The queries are valid against GitHub's public schema (checked by a test against the parts of it that they touch). Nodes
are priced at the `first` limits: 34 pull requests come to about 186,000 of the 500,000 that GitHub allows, 50 issues to
12,500 and 25 discussions to 66,000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tasks.harvest.forge.at_date import EVENTS
from tasks.harvest.forge.remarks import ordered, rooted

Item = dict[str, Any]


class Gathered(NamedTuple):
    """What has come of one thread."""

    node: Item
    lists: dict[str, list[Item]]
    """By the keys of `Topic.more`."""


class More(NamedTuple):
    """How a list is read on."""

    text: str
    """A selection on a node, with places for the cursor and what is asked of the page."""
    field: str
    """The list's name in the answer."""
    nested: str | None = None
    """Key of the lists within its items, which lie under `inner`."""
    inner: str = ""


class Topic(NamedTuple):
    """One kind of thread."""

    noun: str
    """As messages name it."""
    one: str
    many: str
    """Fields of GraphQL's repository: by number, and the list."""
    order: str
    """GraphQL's type of the field that a list is ordered by."""
    listed: str
    """Fields of GraphQL that a list is asked for."""
    rest: str | None
    """Path of the list by REST; null where there is none."""
    folder: str
    """Below the repository's cache; pull requests lie in the repository's own."""
    batch: int
    """Threads a query; 10 seconds of GitHub's own time bound it."""
    fragments: str
    """GraphQL, with the fragment `thread`."""
    lists: Mapping[str, str]
    """Field of a thread that is a list → key of `more`."""
    more: Mapping[str, More]
    shape: Callable[[Gathered], Item]
    """The thread as REST would have given it."""


def _pull(gathered: Gathered) -> Item:
    node, lists = gathered
    head = _head(node)
    labels = head.pop("labels")  # records bear the fields in the order of REST
    return head | {
        "merged_at": node["mergedAt"],
        "draft": node["isDraft"],
        "labels": labels,
        "comments": ordered([_comment(item, item["createdAt"]) for item in lists["comments"]]),
        "reviews": ordered(
            [
                _comment(item, item["submittedAt"]) | {"state": item["state"]}
                for item in lists["reviews"]
                if item["submittedAt"] and item["state"] != "PENDING"
            ]
        ),
        "review_comments": rooted([_remark(item) for item in lists["remarks"]]),
        "events": [_event(item) for item in lists["timelineItems"]],
    }


def _issue(gathered: Gathered) -> Item:
    node, lists = gathered
    return _head(node) | {
        "not_planned": node["stateReason"] in ("NOT_PLANNED", "DUPLICATE"),
        "comments": ordered([_comment(item, item["createdAt"]) for item in lists["comments"]]),
        "events": [_event(item) for item in lists["timelineItems"]],
    }


def _discussion(gathered: Gathered) -> Item:
    node, lists = gathered
    said = [*lists["comments"], *lists["replies"]]
    return _head(node | {"state": "CLOSED" if node["closed"] else "OPEN"}) | {
        "category": node["category"]["name"],
        "answer": node["answer"]["databaseId"] if node["answer"] else None,
        "answered_at": node["answerChosenAt"],
        "comments": rooted([_said(item) for item in said]),
        "events": [],  # GitHub tells none of a discussion
    }


def _head(node: Item) -> Item:
    return {
        "number": node["number"],
        "title": node["title"],
        "body": node["body"] or "",
        "url": node["url"],
        "state": "open" if node["state"] == "OPEN" else "closed",
        "closed_at": node["closedAt"],
        "created_at": node["createdAt"],
        "updated_at": node["updatedAt"],
        "author": _author(node["author"]),
        "labels": sorted(label["name"] for label in (node["labels"] or {"nodes": []})["nodes"]),
    }


def _comment(item: Item, created_at: str) -> Item:
    return {
        "id": int(item["fullDatabaseId"]),
        "author": _author(item["author"]),
        "created_at": created_at,
        "body": item["body"],
    }


def _said(item: Item) -> Item:
    parent = item.get("replyTo")
    return _comment(item | {"fullDatabaseId": item["databaseId"]}, item["createdAt"]) | {
        "in_reply_to": parent["databaseId"] if parent else None
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


PAGE_INFO: Final = "pageInfo { hasNextPage endCursor }"

_SPOKEN: Final = """
fragment who on Actor { login __typename }
fragment comment on IssueComment { fullDatabaseId author { ...who } createdAt body }
"""
_HAPPENED: Final = """
  __typename
  ... on LabeledEvent { createdAt label { name } }
  ... on UnlabeledEvent { createdAt label { name } }
  ... on ClosedEvent { createdAt }
  ... on ReopenedEvent { createdAt }
  ... on RenamedTitleEvent { createdAt previousTitle }
"""
_ISSUE_EVENTS: Final = "LABELED_EVENT, UNLABELED_EVENT, CLOSED_EVENT, REOPENED_EVENT, RENAMED_TITLE_EVENT"
_PULL_EVENTS: Final = f"{_ISSUE_EVENTS}, CONVERT_TO_DRAFT_EVENT, READY_FOR_REVIEW_EVENT"
_HEAD: Final = """
  id number title body url closedAt createdAt updatedAt
  author { ...who }
  labels(first: 50) { nodes { name } }
"""

PULL_REQUESTS: Final = Topic(
    noun="pull request",
    one="pullRequest",
    many="pullRequests",
    order="IssueOrderField",
    listed="mergedAt headRefOid baseRefOid mergeCommit { oid }",
    rest="/pulls",
    folder="",
    batch=34,
    fragments=f"""
fragment thread on PullRequest {{
  {_HEAD} state mergedAt isDraft
  comments(first: 100) {{ {PAGE_INFO} nodes {{ ...comment }} }}
  reviews(first: 100) {{ {PAGE_INFO} nodes {{ ...review }} }}
  timelineItems(first: 100, itemTypes: [{_PULL_EVENTS}]) {{ {PAGE_INFO} nodes {{ ...event }} }}
}}
{_SPOKEN}
fragment remark on PullRequestReviewComment {{
  fullDatabaseId author {{ ...who }} createdAt body path line originalLine diffHunk replyTo {{ fullDatabaseId }}
}}
fragment event on PullRequestTimelineItems {{
  {_HAPPENED}
  ... on ConvertToDraftEvent {{ createdAt }}
  ... on ReadyForReviewEvent {{ createdAt }}
}}
fragment review on PullRequestReview {{
  id fullDatabaseId author {{ ...who }} submittedAt body state
  comments(first: 50) {{ {PAGE_INFO} nodes {{ ...remark }} }}
}}
""",
    lists={"comments": "comments", "reviews": "reviews", "timelineItems": "timelineItems"},
    more={
        "comments": More(
            "... on PullRequest { comments(first: 100, after: %s) { %s nodes { ...comment } } }", "comments"
        ),
        "reviews": More(
            "... on PullRequest { reviews(first: 50, after: %s) { %s nodes { ...review } } }",
            "reviews",
            nested="remarks",
            inner="comments",
        ),
        "timelineItems": More(
            "... on PullRequest { timelineItems(first: 100, after: %s, itemTypes: "
            f"[{_PULL_EVENTS}]) {{ %s nodes {{ ...event }} }} }}",
            "timelineItems",
        ),
        "remarks": More(
            "... on PullRequestReview { comments(first: 100, after: %s) { %s nodes { ...remark } } }", "comments"
        ),
    },
    shape=_pull,
)

ISSUES: Final = Topic(
    noun="issue",
    one="issue",
    many="issues",
    order="IssueOrderField",
    listed="",
    rest="/issues",
    folder="issues",
    batch=50,
    fragments=f"""
fragment thread on Issue {{
  {_HEAD} state stateReason
  comments(first: 100) {{ {PAGE_INFO} nodes {{ ...comment }} }}
  timelineItems(first: 100, itemTypes: [{_ISSUE_EVENTS}]) {{ {PAGE_INFO} nodes {{ ...event }} }}
}}
{_SPOKEN}
fragment event on IssueTimelineItems {{ {_HAPPENED} }}
""",
    lists={"comments": "comments", "timelineItems": "timelineItems"},
    more={
        "comments": More("... on Issue { comments(first: 100, after: %s) { %s nodes { ...comment } } }", "comments"),
        "timelineItems": More(
            f"... on Issue {{ timelineItems(first: 100, after: %s, itemTypes: [{_ISSUE_EVENTS}])"
            " { %s nodes { ...event } } }",
            "timelineItems",
        ),
    },
    shape=_issue,
)

DISCUSSIONS: Final = Topic(
    noun="discussion",
    one="discussion",
    many="discussions",
    order="DiscussionOrderField",
    listed="",
    rest=None,
    folder="discussions",
    batch=25,
    fragments=f"""
fragment thread on Discussion {{
  {_HEAD} closed answerChosenAt answer {{ databaseId }} category {{ name }}
  comments(first: 50) {{ {PAGE_INFO} nodes {{ ...post }} }}
}}
fragment who on Actor {{ login __typename }}
fragment reply on DiscussionComment {{ databaseId author {{ ...who }} createdAt body replyTo {{ databaseId }} }}
fragment post on DiscussionComment {{
  id ...reply
  replies(first: 50) {{ {PAGE_INFO} nodes {{ ...reply }} }}
}}
""",
    lists={"comments": "comments"},
    more={
        "comments": More(
            "... on Discussion { comments(first: 50, after: %s) { %s nodes { ...post } } }",
            "comments",
            nested="replies",
            inner="replies",
        ),
        "replies": More(
            "... on DiscussionComment { replies(first: 100, after: %s) { %s nodes { ...reply } } }", "replies"
        ),
    },
    shape=_discussion,
)

TOPICS: Final = {"issue": ISSUES, "discussion": DISCUSSIONS}
"""By the kind of document that they become."""
