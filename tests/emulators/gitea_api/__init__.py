"""Gitea's REST interface, version 1, over the repositories of the emulated GitHub.

docs.gitea.com/api and Gitea's source (modules/structs, services/convert): lists, timeline, reviews. Dates have the
server's zone; pages have `Link` and `X-Total-Count` and 50 items at most.
"""

from __future__ import annotations

import datetime
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.emulators.github_api.faults import Reply
from tests.emulators.github_api.hub import Comment, Event, Issue, Pull, Repository, Review, User
from tests.emulators.github_api.rest import files
from tests.emulators.github_api.server import Handler
from tests.harvest.histories import run

Json = dict[str, Any]

STATES = {"APPROVED": "APPROVED", "COMMENTED": "COMMENT", "CHANGES_REQUESTED": "REQUEST_CHANGES", "PENDING": "PENDING"}
ZONE = datetime.timezone(datetime.timedelta(hours=2))


class GiteaHandler(Handler):
    """Answers as Gitea does."""

    def answered(self, path: str, query: str, body: bytes) -> Reply:
        refused = self.access(self.github.hub)
        if refused is not None:
            if refused[0] == 401:
                return 401, {}, {"message": "user does not exist [uid: 0, name: ]", "url": "/api/swagger"}
            return 404, {}, {"message": "The target couldn't be found.", "errors": None}
        found = re.fullmatch(r"/api/v1/repos/([^/]+/[^/]+)/?(.*)", path)
        repository = self.github.hub.repository(found[1]) if found else None
        parameters = dict(parse_qsl(query))
        data = resource(repository, self.github.url, found[2], parameters) if found and repository else None
        if data is None:
            return 404, {}, {"message": "The target couldn't be found.", "errors": None}
        if isinstance(data, list):
            data, headers = self.page_of(data, path, parameters)
            return 200, headers, data
        return 200, {}, data

    def page_of(self, data: list[Any], path: str, query: dict[str, str]) -> tuple[list[Any], dict[str, str]]:
        size, page = min(int(query.get("limit", 30)), 50), int(query.get("page", 1))
        headers = {"X-Total-Count": str(len(data))}
        if page * size < len(data):
            address = f"{self.github.url}{path}?{urlencode(query | {'page': page + 1, 'limit': size})}"
            headers["Link"] = f'<{address}>; rel="next",<{address}>; rel="last"'
        return data[(page - 1) * size : page * size], headers


def resource(repository: Repository, url: str, rest: str, query: dict[str, str]) -> Any:
    """The data below a repository; None where there is none."""
    web = f"{url}/{repository.name}"
    if rest == "":
        return {
            "id": repository.id,
            "full_name": repository.name,
            "clone_url": f"{web}.git",
            "html_url": web,
            "has_issues": repository.has_issues,
            "has_pull_requests": True,
        }
    if rest == "pulls":
        field = "updated_at" if query.get("sort") == "recentupdate" else "created_at"
        pulls = sorted(repository.pulls, key=lambda one: (getattr(one, field), one.number), reverse=True)
        return [_pull(repository, web, pull) for pull in pulls]
    if rest == "issues":
        issues = [one for one in repository.issues if one.updated_at >= query.get("since", "")]
        return [_head(web, one, "issues") for one in sorted(issues, key=lambda one: one.created_at, reverse=True)]
    if rest == "releases":
        return [
            {
                "tag_name": item.tag,
                "name": item.name or "",
                "body": item.body or "",
                "draft": item.draft,
                "prerelease": item.prerelease,
                "published_at": zoned(item.published_at),
                "html_url": f"{web}/releases/tag/{item.tag}",
            }
            for item in repository.releases
        ]
    return _of_one(repository, web, rest)


def _of_one(repository: Repository, web: str, rest: str) -> Any:
    found = re.fullmatch(r"(pulls|issues)/(\d+)(?:/(.+))?", rest)
    if found is None:
        return None
    number, part = int(found[2]), found[3]
    pull = repository.pull(number)
    one: Pull | Issue | None = pull or repository.issue(number)
    if one is None:
        return None
    if part == "timeline":
        return _timeline(one)
    if found[1] == "issues":
        return _head(web, one, "issues") if part is None else None
    if pull is None:
        return None
    if part is None:
        return _pull(repository, web, pull)
    if part == "reviews":
        return [_review(review) for review in pull.reviews]
    if part == "files":
        known = {"removed": "deleted", "modified": "changed"}
        return [
            {name: item.get(name) for name in ("filename", "previous_filename", "changes")}
            | {"status": known.get(item["status"], item["status"])}
            for item in files(repository, pull)
        ]
    if part == "commits":
        return [{"sha": pull.head, "commit": {"message": "Lost\n"}}]
    if remarks := re.fullmatch(r"reviews/(\d+)/comments", part):
        return [_remark(item) for review in pull.reviews if review.id == int(remarks[1]) for item in review.comments]
    return None


def zoned(moment: str | None) -> str | None:
    """A date in the server's zone."""
    return datetime.datetime.fromisoformat(moment).astimezone(ZONE).isoformat() if moment else None


def _head(web: str, one: Pull | Issue, kind: str) -> Json:
    return {
        "number": one.number,
        "title": one.title,
        "body": one.body or "",
        "html_url": f"{web}/{kind}/{one.number}",
        "state": one.state,
        "created_at": zoned(one.created_at),
        "updated_at": zoned(one.updated_at),
        "closed_at": zoned(one.closed_at),
        "user": _user(one.user),
        "labels": [{"name": name} for name in one.labels],
        "comments": len(one.comments),
    }


def _pull(repository: Repository, web: str, pull: Pull) -> Json:
    base = f"{pull.merge_commit}^1" if pull.merge_commit else pull.base
    fork = run("git", "--git-dir", str(repository.folder), "merge-base", base, pull.head).strip()
    return _head(web, pull, "pulls") | {
        "merged": pull.merged_at is not None,
        "merged_at": zoned(pull.merged_at),
        "merge_commit_sha": pull.merge_commit,
        "merge_base": fork,
        "draft": pull.draft,
        "head": {"ref": pull.head_ref, "sha": pull.head},
        "base": {"ref": pull.base_ref, "sha": pull.base},
    }


def _timeline(one: Pull | Issue) -> list[Json]:
    titles = [event.was for event in one.events if event.kind == "renamed"] + [one.title]
    said = [_comment(item) | {"type": "comment"} for item in one.comments]
    happened = []
    for place, event in enumerate(one.events):
        item: Json = {"id": 900_000 + place, "created_at": zoned(event.created_at), "body": ""}
        if event.kind == "renamed":
            item |= {"type": "change_title", "old_title": titles.pop(0), "new_title": titles[0]}
        elif event.kind in ("labeled", "unlabeled"):
            item |= {"type": "label", "label": {"name": event.was}, "body": "1" if event.kind == "labeled" else ""}
        else:
            item["type"] = _type(one, event)
        happened.append(item)
    return sorted([*said, *happened], key=lambda item: (item["created_at"], item["id"]))


def _type(one: Pull | Issue, event: Event) -> str:
    merged = isinstance(one, Pull) and one.merged_at == event.created_at
    return "merge_pull" if merged else {"closed": "close", "reopened": "reopen"}.get(event.kind, "assignees")


def _review(review: Review) -> Json:
    return {
        "id": review.id,
        "user": _user(review.user),
        "state": STATES[review.state],
        "body": review.body,
        "submitted_at": zoned(review.submitted_at),
        "comments_count": len(review.comments),
    }


def _remark(comment: Comment) -> Json:
    return _comment(comment) | {
        "path": comment.path,
        "position": comment.line or 0,
        "original_position": 0 if comment.line else comment.original_line or 0,
        "diff_hunk": comment.hunk,
    }


def _comment(comment: Comment) -> Json:
    return {
        "id": comment.id,
        "user": _user(comment.user),
        "created_at": zoned(comment.created_at),
        "body": comment.body,
    }


def _user(user: User | None) -> Json:
    """What deleted accounts wrote belongs to an account `Ghost`."""
    return {"id": -1, "login": "Ghost"} if user is None else {"id": sum(user.login.encode()), "login": user.login}
