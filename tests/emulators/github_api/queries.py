"""GraphQL, executed by graphql-core against the part of GitHub's public schema beside this file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from graphql import GraphQLError, build_schema, graphql_sync

from tests.emulators.github_api.hub import Comment, Discussion, Event, Hub, Issue, Pull, Repository, Review, User
from tests.emulators.github_api.rest import head

SCHEMA = build_schema((Path(__file__).parent / "schema.graphql").read_text("utf-8"))

Json = dict[str, Any]

_TYPES: Final = {"renamed": "renamed_title"}
"""Events that GraphQL calls by another name than REST."""


def answer(hub: Hub, api: str, body: Json) -> Json:
    """What GitHub answers to `{"query": …, "variables": …}`."""
    result = graphql_sync(SCHEMA, body["query"], _Root(hub, api).fields(), variable_values=body.get("variables"))
    errors = [
        {"message": error.message, "path": error.path, **(error.extensions or {})} for error in result.errors or ()
    ]
    return {"data": result.data, "errors": errors} if errors else {"data": result.data}


class _Root:
    """The root value; node ids are `<kind>:<repository>:<id>`."""

    def __init__(self, hub: Hub, api: str) -> None:
        self.hub = hub
        self.api = api

    def fields(self) -> Json:
        return {
            "repository": self._repository,
            "node": lambda info, id: self._node(id),
            "rateLimit": {
                "limit": self.hub.hourly_limit,
                "remaining": self.hub.hourly_limit - self.hub.used,
                "cost": 1,
            },
        }

    def _repository(self, info: Any, owner: str, name: str, followRenames: bool = True) -> Json:
        repository = self.hub.repository(f"{owner}/{name}")
        if repository is None:
            message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise GraphQLError(message, extensions={"type": "NOT_FOUND"})
        branch, commit = head(repository)
        return {
            "databaseId": repository.id,
            "name": name,
            "nameWithOwner": repository.name,
            "url": f"{self.api}/{repository.name}",
            "isPrivate": repository.private,
            "hasWikiEnabled": repository.wiki is not None,
            "defaultBranchRef": {"name": branch, "target": {"__typename": "Commit", "oid": commit}},
            "pullRequest": lambda info, number: self._numbered(repository, number),
            "pullRequests": lambda info, **arguments: _ordered(
                repository.pulls, lambda pull: self._pull(repository, pull), **arguments
            ),
            "issue": lambda info, number: self._issue(repository, _found(repository.issue(number), "Issue", number)),
            "issues": lambda info, **arguments: _ordered(
                repository.issues, lambda issue: self._issue(repository, issue), **arguments
            ),
            "discussion": lambda info, number: self._discussion(
                repository, _found(repository.discussion(number), "Discussion", number)
            ),
            "discussions": lambda info, **arguments: _ordered(
                repository.discussions, lambda one: self._discussion(repository, one), **arguments
            ),
        }

    def _numbered(self, repository: Repository, number: int) -> Json:
        return self._pull(repository, _found(repository.pull(number), "PullRequest", number))

    def _node(self, identifier: str) -> Json | None:
        kind, name, number = identifier.split(":")
        repository = self.hub.repository(name)
        assert repository is not None
        if kind == "PR":
            return self._numbered(repository, int(number))
        if kind == "I":
            return self._issue(repository, _found(repository.issue(int(number)), "Issue", int(number)))
        if kind == "D":
            return self._discussion(repository, _found(repository.discussion(int(number)), "Discussion", int(number)))
        if kind == "DC":
            places = ((one, item) for one in repository.discussions for item in one.comments)
            return self._post(repository, *next(place for place in places if place[1].id == int(number)))
        reviews = (review for pull in repository.pulls for review in pull.reviews)
        return self._review(repository, next(review for review in reviews if review.id == int(number)))

    def _pull(self, repository: Repository, pull: Pull) -> Json:
        return {
            "__typename": "PullRequest",
            "id": f"PR:{repository.name}:{pull.number}",
            "number": pull.number,
            "title": pull.title,
            "body": pull.body or "",
            "url": f"{self.api}/{repository.name}/pull/{pull.number}",
            "state": "MERGED" if pull.merged_at else pull.state.upper(),
            "merged": pull.merged_at is not None,
            "mergedAt": pull.merged_at,
            "closedAt": pull.closed_at,
            "createdAt": pull.created_at,
            "updatedAt": pull.updated_at,
            "isDraft": pull.draft,
            "baseRefName": pull.base_ref,
            "headRefName": pull.head_ref,
            "headRefOid": pull.head,
            "baseRefOid": pull.base,
            "mergeCommit": {"oid": pull.merge_commit} if pull.merge_commit else None,
            "author": _actor(pull.user),
            "labels": lambda info, **page: _connection([{"name": name} for name in pull.labels], **page),
            "comments": lambda info, **page: _connection([_comment(item) for item in pull.comments], **page),
            "reviews": lambda info, **page: _connection(
                [self._review(repository, review) for review in pull.reviews if review.submitted_at], **page
            ),
            "timelineItems": lambda info, itemTypes, **page: _connection(
                [_event(item) for item in pull.events if f"{item.kind.upper()}_EVENT" in _asked(itemTypes)], **page
            ),
        }

    def _issue(self, repository: Repository, issue: Issue) -> Json:
        return {
            "__typename": "Issue",
            "id": f"I:{repository.name}:{issue.number}",
            "number": issue.number,
            "title": issue.title,
            "body": issue.body or "",
            "url": f"{self.api}/{repository.name}/issues/{issue.number}",
            "state": issue.state.upper(),
            "stateReason": issue.state_reason.upper() if issue.state_reason else None,
            "closedAt": issue.closed_at,
            "createdAt": issue.created_at,
            "updatedAt": issue.updated_at,
            "author": _actor(issue.user),
            "labels": lambda info, **page: _connection([{"name": name} for name in issue.labels], **page),
            "comments": lambda info, **page: _connection([_comment(item) for item in issue.comments], **page),
            "timelineItems": lambda info, itemTypes, **page: _connection(
                [_event(item) for item in issue.events if f"{item.kind.upper()}_EVENT" in _asked(itemTypes)], **page
            ),
        }

    def _discussion(self, repository: Repository, one: Discussion) -> Json:
        answer = next((item for item in one.comments if item.id == one.answer), None)
        tops = [item for item in one.comments if item.in_reply_to is None]
        return {
            "__typename": "Discussion",
            "id": f"D:{repository.name}:{one.number}",
            "number": one.number,
            "title": one.title,
            "body": one.body,
            "url": f"{self.api}/{repository.name}/discussions/{one.number}",
            "closed": one.closed_at is not None,
            "closedAt": one.closed_at,
            "createdAt": one.created_at,
            "updatedAt": one.updated_at,
            "answerChosenAt": one.answered_at,
            "answer": self._post(repository, one, answer) if answer else None,
            "category": {"name": one.category, "isAnswerable": one.category == "Q&A"},
            "author": _actor(one.user),
            "labels": lambda info, **page: _connection([{"name": name} for name in one.labels], **page),
            "comments": lambda info, **page: _connection([self._post(repository, one, item) for item in tops], **page),
        }

    def _post(self, repository: Repository, one: Discussion, comment: Comment) -> Json:
        replies = [item for item in one.comments if item.in_reply_to == comment.id]
        return {
            "__typename": "DiscussionComment",
            "id": f"DC:{repository.name}:{comment.id}",
            "databaseId": comment.id,
            "author": _actor(comment.user),
            "createdAt": comment.created_at,
            "body": comment.body,
            "replyTo": {"databaseId": comment.in_reply_to} if comment.in_reply_to is not None else None,
            "replies": lambda info, **page: _connection(
                [self._post(repository, one, item) for item in replies], **page
            ),
        }

    def _review(self, repository: Repository, review: Review) -> Json:
        return {
            "__typename": "PullRequestReview",
            "id": f"RV:{repository.name}:{review.id}",
            "fullDatabaseId": str(review.id),
            "author": _actor(review.user),
            "body": review.body,
            "state": review.state,
            "submittedAt": review.submitted_at,
            "comments": lambda info, **page: _connection([_remark(item) for item in review.comments], **page),
        }


Thread = TypeVar("Thread", Pull, Issue, Discussion)


def _found(thread: Thread | None, kind: str, number: int) -> Thread:
    if thread is None:
        message = f"Could not resolve to a {kind} with the number of {number}."
        raise GraphQLError(message, extensions={"type": "NOT_FOUND"})
    return thread


def _ordered(
    threads: Sequence[Thread],
    make: Callable[[Thread], Json],
    orderBy: Json | None = None,
    states: Any = None,
    **page: Any,
) -> Json:
    field = "updated_at" if orderBy and orderBy["field"] == "UPDATED_AT" else "created_at"
    found = sorted(threads, key=lambda thread: (getattr(thread, field), thread.number))
    if orderBy and orderBy["direction"] == "DESC":
        found.reverse()
    return _connection(found, make, **page)


def _comment(comment: Comment) -> Json:
    return {
        "fullDatabaseId": str(comment.id),
        "author": _actor(comment.user),
        "createdAt": comment.created_at,
        "body": comment.body,
    }


def _remark(comment: Comment) -> Json:
    reply = {"fullDatabaseId": str(comment.in_reply_to)} if comment.in_reply_to is not None else None
    place = {"path": comment.path, "line": comment.line, "originalLine": comment.original_line}
    return _comment(comment) | place | {"diffHunk": comment.hunk, "replyTo": reply}


def _event(event: Event) -> Json:
    name = "".join(word.capitalize() for word in _TYPES.get(event.kind, event.kind).split("_"))
    made = {"__typename": f"{name}Event", "createdAt": event.created_at}
    return made | {"label": {"name": event.was}, "previousTitle": event.was}


def _asked(kinds: Sequence[str]) -> set[str]:
    """The types that are asked for, by REST's names of the events."""
    return {"RENAMED_EVENT" if kind == "RENAMED_TITLE_EVENT" else kind for kind in kinds}


def _actor(user: User | None) -> Json | None:
    return {"__typename": user.kind, "login": user.login.removesuffix("[bot]")} if user else None


def _connection(
    items: Sequence[Any],
    make: Callable[[Any], Json] = lambda item: item,
    first: int | None = None,
    after: str | None = None,
    **_: Any,
) -> Json:
    """A page of the items, which `make` turns into nodes."""
    if first is None or not 1 <= first <= 100:
        raise GraphQLError("You must provide a `first` or `last` value between 1 and 100 to properly paginate.")
    start = int(after.removeprefix("cursor:")) if after else 0
    end = min(start + first, len(items))
    page = {"hasNextPage": end < len(items), "endCursor": f"cursor:{end}" if end > start else None}
    return {"nodes": [make(item) for item in items[start:end]], "pageInfo": page, "totalCount": len(items)}
