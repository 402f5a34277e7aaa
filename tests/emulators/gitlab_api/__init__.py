"""GitLab's REST interface, version 4, over the repositories of the emulated GitHub.

docs.gitlab.com/api: rest, projects, merge_requests, issues, discussions, resource_state_events, resource_label_events,
releases. Dates have parts of a second; pages have `Link` and `X-Next-Page`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from tests.emulators.github_api.faults import Reply
from tests.emulators.github_api.hub import Comment, Event, Issue, Pull, Repository, User
from tests.emulators.github_api.rest import files
from tests.emulators.github_api.server import Handler

Json = dict[str, Any]

NOTES = {"APPROVED": "approved this merge request", "CHANGES_REQUESTED": "requested changes"}
FORWARD = "forward"
"""Label of a merge request to whose head the branch was moved forward, so that there is no commit of the merge."""
CONFIDENTIAL = "confidential"
"""Label of an issue, or begin of a note, that is for members only."""


class GitlabHandler(Handler):
    """Answers as GitLab does."""

    def answered(self, path: str, query: str, body: bytes) -> Reply:
        if not path.startswith("/api/v4/projects/"):
            return 404, {}, {"error": "404 Not Found"}
        if "PRIVATE-TOKEN" in self.headers:
            return 400, {}, {"message": "this token would be passed on by a redirect"}
        refused = self.access(self.github.hub)
        if refused is not None:
            if refused[0] == 401:
                return 401, {}, {"message": "401 Unauthorized"}
            return 404, {}, {"message": "404 Project Not Found"}
        name, _, rest = path.removeprefix("/api/v4/projects/").partition("/")
        repository = self.github.hub.repository(unquote(name))
        if repository is None:
            return 404, {}, {"message": "404 Project Not Found"}
        parameters = dict(parse_qsl(query))
        data = resource(repository, self.github.url, rest, parameters)
        if data is None:
            return 404, {}, {"message": "404 Not found"}
        headers = {"RateLimit-Limit": "2000", "RateLimit-Remaining": "1999"}
        if isinstance(data, list):
            data, link = self.page_of(data, path, parameters)
            headers |= link
        return 200, headers, data

    def page_of(self, data: list[Any], path: str, query: dict[str, str]) -> tuple[list[Any], dict[str, str]]:
        size, page = min(int(query.get("per_page", 20)), 100), int(query.get("page", 1))
        last = max(-(-len(data) // size), 1)
        headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Total": str(len(data)), "X-Total-Pages": str(last)}
        headers["X-Next-Page"] = str(page + 1) if page < last else ""
        if page < last:
            # its own name may differ from the one it was asked by: nobody may follow the host of a link
            address = f"http://gitlab.invalid{path}?{urlencode(query | {'page': page + 1, 'per_page': size})}"
            headers["Link"] = f'<{address}>; rel="next"'
        return data[(page - 1) * size : page * size], headers


def resource(repository: Repository, url: str, rest: str, query: dict[str, str]) -> Any:
    """The data below a project; None where there is none."""
    web = f"{url}/{repository.name}"
    if rest == "":
        return {
            "id": repository.id,
            "path_with_namespace": repository.name,
            "http_url_to_repo": f"{web}.git",
            "web_url": web,
            "issues_access_level": "enabled" if repository.has_issues else "disabled",
            "merge_requests_access_level": "enabled",
        }
    if rest == "merge_requests":
        return _listed([_merge_request(web, pull) for pull in repository.pulls], query)
    if rest == "issues":
        return _listed([_issue(web, issue) for issue in repository.issues], query)
    if rest == "releases":
        return [
            {
                "tag_name": item.tag,
                "name": item.name,
                "description": item.body,
                "released_at": fine(item.published_at),
                "_links": {"self": f"{web}/-/releases/{item.tag}"},
            }
            for item in repository.releases
            if item.published_at
        ]
    found = re.fullmatch(r"(merge_requests|issues)/(\d+)(?:/(\w+))?", rest)
    if found is None:
        return None
    of = repository.pull if found[1] == "merge_requests" else repository.issue
    one: Pull | Issue | None = of(int(found[2]))
    if one is None:
        return None
    if found[3] is None:
        return _whole(web, one)
    if found[3] == "discussions":
        return list(_discussions(one))
    if found[3] == "resource_state_events":
        kinds = {"closed": "closed", "reopened": "reopened"}
        return [
            {"id": place, "state": kinds[item.kind], "created_at": fine(item.created_at)}
            for place, item in enumerate(one.events)
            if item.kind in kinds
        ]
    if found[3] == "resource_label_events":
        kinds = {"labeled": "add", "unlabeled": "remove"}
        return [
            {"id": place, "action": kinds[item.kind], "label": {"name": item.was}, "created_at": fine(item.created_at)}
            for place, item in enumerate(one.events)
            if item.kind in kinds
        ]
    if isinstance(one, Pull) and found[3] == "diffs":
        return [_changed(item) for item in files(repository, one)]
    if isinstance(one, Pull) and found[3] == "commits":
        return [{"id": one.head, "message": "Lost\n"}]
    return None


def fine(moment: str | None) -> str | None:
    """A date with parts of a second."""
    return moment.replace("Z", ".250Z") if moment else None


def _listed(items: list[Json], query: dict[str, str]) -> list[Json]:
    field = query.get("order_by", "created_at")
    after, before = query.get("updated_after", ""), query.get("created_before", "9999")
    found = [item for item in items if item["updated_at"] >= after and item["created_at"] <= before]
    return sorted(found, key=lambda item: (item[field], item["iid"]), reverse=query.get("sort", "desc") == "desc")


def _head(web: str, one: Pull | Issue, kind: str) -> Json:
    return {
        "id": 1_000 + one.number,
        "iid": one.number,
        "title": one.title,
        "description": one.body,
        "web_url": f"{web}/-/{kind}/{one.number}",
        "created_at": fine(one.created_at),
        "updated_at": fine(one.updated_at),
        "closed_at": fine(one.closed_at),
        "author": _user(one.user),
        "labels": list(one.labels),
        "user_notes_count": len(one.comments),
    }


def _merge_request(web: str, pull: Pull) -> Json:
    state = "merged" if pull.merged_at else "closed" if pull.state == "closed" else "opened"
    return _head(web, pull, "merge_requests") | {
        "state": state,
        "merged_at": fine(pull.merged_at),
        "closed_at": None if pull.merged_at else fine(pull.closed_at),
        "draft": pull.draft,
        "sha": pull.head,
        "merge_commit_sha": None if FORWARD in pull.labels else pull.merge_commit,
        "squash_commit_sha": None,
    }


def _issue(web: str, issue: Issue) -> Json:
    duplicate = f"{web}/-/issues/1" if issue.state_reason == "duplicate" else None
    return _head(web, issue, "issues") | {
        "state": "closed" if issue.state == "closed" else "opened",
        "confidential": CONFIDENTIAL in issue.labels,
        "_links": {"closed_as_duplicate_of": duplicate},
    }


def _whole(web: str, one: Pull | Issue) -> Json:
    if isinstance(one, Issue):
        return _issue(web, one)
    return _merge_request(web, one) | {"diff_refs": {"base_sha": one.base, "head_sha": one.head}}


def _discussions(one: Pull | Issue) -> Iterator[Json]:
    yield from _spoken(one.comments)
    titles = [event for event in one.events if event.kind == "renamed"]
    for place, event in enumerate(titles):
        after = titles[place + 1].was if place + 1 < len(titles) else one.title
        yield _system(900_000 + place, event, f"changed title from **{{-{event.was}-}}** to **{{+{after}+}}**")
    for review in one.reviews if isinstance(one, Pull) else ():
        if review.submitted_at is None:
            continue
        if review.state in NOTES:
            yield _system(review.id, Event("assigned", review.submitted_at), NOTES[review.state], review.user)
        yield from _spoken(review.comments)


def _spoken(comments: list[Comment]) -> Iterator[Json]:
    for first in comments:
        if first.in_reply_to is None:
            replies = [item for item in comments if item.in_reply_to == first.id]
            notes = [_note(item) for item in (first, *replies)]
            yield {"id": f"{first.id:040x}", "individual_note": not replies, "notes": notes}


def _note(comment: Comment) -> Json:
    made: Json = {
        "id": comment.id,
        "type": "DiffNote" if comment.path else None,
        "body": comment.body,
        "author": _user(comment.user),
        "created_at": fine(comment.created_at),
        "system": False,
        "internal": comment.body.startswith(CONFIDENTIAL),
    }
    if comment.path:
        place = {"old_path": comment.path, "new_path": comment.path, "new_line": comment.line}
        made["position"] = {"position_type": "text", **place, "old_line": comment.original_line}
    return made


def _system(identifier: int, event: Event, words: str, user: User | None = None) -> Json:
    note = _note(Comment(identifier, user or User("octocat"), event.created_at, words)) | {"system": True}
    return {"id": f"{identifier:040x}", "individual_note": True, "notes": [note]}


def _user(user: User | None) -> Json:
    """GitLab gives what deleted accounts wrote to an account that it calls `ghost`."""
    name = user.login if user else "ghost"
    return {"id": sum(name.encode()), "username": name, "name": name.title(), "state": "active"}


def _changed(item: Json) -> Json:
    return {
        "old_path": item.get("previous_filename", item["filename"]),
        "new_path": item["filename"],
        "new_file": item["status"] == "added",
        "deleted_file": item["status"] == "removed",
        "renamed_file": item["status"] == "renamed",
        "diff": f"{item['patch']}\n" if "patch" in item else "",
        "too_large": "patch" not in item and item["changes"] > 0,
    }
