"""REST resources of pull requests, in the shapes of api.github.com (checked against recordings of it)."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.emulators.github_api import objects
from tests.emulators.github_api.hub import Comment, Event, Hub, Issue, Pull, Release, Repository, Review, User
from tests.emulators.github_api.objects import Disabled, Missing, git

Json = dict[str, Any]

STATUSES: Final = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "changed"}


def resource(hub: Hub, api: str, path: str, query: dict[str, str]) -> Any:
    """What lies at a path: an object, or the whole of a list (paging comes after).

    Raises:
        Missing: nothing lies there.
    """
    if found := re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?|/repositories/(\d+)(/.*)?", path):
        repository = hub.repository(found[1]) if found[1] else hub.by_id(int(found[3]))
        if repository is not None:
            return _below(hub, repository, api, (found[2] or found[4] or "").strip("/"), query)
    raise Missing(path)


def _below(hub: Hub, repository: Repository, api: str, rest: str, query: dict[str, str]) -> Any:
    if rest == "":
        return _repository(repository, api)
    if rest == "pulls":
        return _pulls(repository, api, query)
    if rest == "releases":
        return [_release(repository, api, release) for release in repository.releases]
    if rest == "issues":
        if not repository.has_issues:
            raise Disabled(rest)
        return _issues(repository, api, query)
    if rest in ("pulls/comments", "issues/comments"):
        return _everywhere(repository, api, rest, query)
    if rest == "commits" or rest.startswith("git/"):
        return objects.resource(repository.folder, rest, query, hub.max_tree_entries)
    if found := re.fullmatch(r"(pulls|issues)/(\d+)(?:/(\w+))?", rest):
        issue = repository.issue(int(found[2])) if found[1] == "issues" else None
        if issue is not None:
            return _of_issue(repository, api, issue, found[3])
        pull = repository.pull(int(found[2]))
        if pull is None:
            raise Missing(rest)
        kinds = {
            ("pulls", None): lambda: _whole(repository, api, pull),
            ("pulls", "files"): lambda: files(repository, pull),
            ("pulls", "commits"): lambda: _commits(repository, pull),
            ("pulls", "reviews"): lambda: [_review(review) for review in pull.reviews],
            ("pulls", "comments"): lambda: _remarks(repository, api, pull),
            ("issues", "events"): lambda: [_event(item) for item in pull.events],
            ("issues", "comments"): lambda: [_comment(repository, api, pull.number, item) for item in pull.comments],
        }
        make = kinds.get((found[1], found[3]))
        if make is not None:
            return make()
    raise Missing(rest)


def _repository(repository: Repository, api: str) -> Json:
    owner, name = repository.name.split("/")
    return {
        "id": repository.id,
        "name": name,
        "full_name": repository.name,
        "private": repository.private,
        "owner": _user(User(owner)),
        "html_url": f"{api}/{repository.name}",
        "url": f"{api}/repos/{repository.name}",
        "clone_url": f"{api}/{repository.name}.git",
        "default_branch": head(repository)[0],
        "has_wiki": repository.wiki is not None,
        "archived": False,
    }


def head(repository: Repository) -> tuple[str, str]:
    """Name of the default branch and its commit."""
    branch = git(repository.folder, "symbolic-ref", "--short", "HEAD").strip()
    return branch, git(repository.folder, "rev-parse", "HEAD").strip()


def _pulls(repository: Repository, api: str, query: dict[str, str]) -> list[Json]:
    state = query.get("state", "open")
    sort = query.get("sort", "created")
    found = [pull for pull in repository.pulls if state in ("all", pull.state)]
    found.sort(key=lambda pull: (pull.updated_at if sort == "updated" else pull.created_at, pull.number))
    if query.get("direction", "desc" if sort == "created" else "asc") == "desc":
        found.reverse()
    own = _repository(repository, api)
    return [_pull(repository, api, pull, own) for pull in found]


def _issues(repository: Repository, api: str, query: dict[str, str]) -> list[Json]:
    """GitHub's list of issues, in which pull requests stand too."""
    sort = query.get("sort", "created")
    both: list[Issue | Pull] = [*repository.issues, *repository.pulls]
    found = sorted(both, key=lambda one: (one.updated_at if sort == "updated" else one.created_at, one.number))
    if query.get("direction", "desc") == "desc":
        found.reverse()
    return [_issue(repository, api, one) for one in found if query.get("state", "open") in ("all", one.state)]


def _issue(repository: Repository, api: str, one: Issue | Pull) -> Json:
    address = f"{api}/repos/{repository.name}/issues/{one.number}"
    made: Json = {
        "id": 500_000 + one.number,
        "url": address,
        "html_url": f"{api}/{repository.name}/issues/{one.number}",
        "number": one.number,
        "state": one.state,
        "state_reason": one.state_reason if isinstance(one, Issue) else None,
        "title": one.title,
        "body": one.body or None,
        "user": _user(one.user),
        "labels": [{"id": place, "name": name} for place, name in enumerate(one.labels)],
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "closed_at": one.closed_at,
        "comments": len(one.comments),
    }
    return made | ({"pull_request": {"url": address.replace("/issues/", "/pulls/")}} if isinstance(one, Pull) else {})


def _release(repository: Repository, api: str, release: Release) -> Json:
    return {
        "tag_name": release.tag,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "published_at": release.published_at,
        "html_url": f"{api}/{repository.name}/releases/tag/{release.tag}",
    }


def _of_issue(repository: Repository, api: str, issue: Issue, part: str | None) -> Any:
    if part is None:
        return _issue(repository, api, issue)
    if part == "events":
        return [_event(item) for item in issue.events]
    if part == "comments":
        return [_comment(repository, api, issue.number, item) for item in issue.comments]
    raise Missing(part)


def _whole(repository: Repository, api: str, pull: Pull) -> Json:
    remarks = sum(len(review.comments) for review in pull.reviews)
    counts = {"merged": pull.merged_at is not None, "comments": len(pull.comments), "review_comments": remarks}
    return _pull(repository, api, pull, _repository(repository, api)) | counts


def _pull(repository: Repository, api: str, pull: Pull, own: Json) -> Json:
    address = f"{api}/repos/{repository.name}/pulls/{pull.number}"
    return {
        "id": 1000 + pull.number,
        "url": address,
        "issue_url": f"{api}/repos/{repository.name}/issues/{pull.number}",
        "html_url": f"{api}/{repository.name}/pull/{pull.number}",
        "number": pull.number,
        "state": pull.state,
        "title": pull.title,
        "body": pull.body or None,  # REST mostly sends null for an empty body
        "user": _user(pull.user),
        "labels": [{"id": place, "name": name} for place, name in enumerate(pull.labels)],
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": pull.merge_commit or "f" * 40,  # of an open one: a test merge that nobody can fetch
        "draft": pull.draft,
        "head": {"ref": pull.head_ref, "sha": pull.head, "repo": {"id": 2} if pull.head_repo else None},
        "base": {"ref": pull.base_ref, "sha": pull.base, "repo": own},
    }


def _everywhere(repository: Repository, api: str, rest: str, query: dict[str, str]) -> list[Json]:
    if rest == "pulls/comments":
        items = [item for pull in repository.pulls for item in _remarks(repository, api, pull)]
    else:
        pairs = [(one.number, item) for one in (*repository.pulls, *repository.issues) for item in one.comments]
        items = [_comment(repository, api, *pair) for pair in pairs + repository.issue_comments]
    items = [item for item in items if item["updated_at"] >= query.get("since", "")]
    return sorted(items, key=lambda item: (item["created_at"], item["id"]), reverse=query.get("direction") == "desc")


def _comment(repository: Repository, api: str, number: int, comment: Comment) -> Json:
    return {
        "id": comment.id,
        "url": f"{api}/repos/{repository.name}/issues/comments/{comment.id}",
        "issue_url": f"{api}/repos/{repository.name}/issues/{number}",
        "user": _user(comment.user),
        "created_at": comment.created_at,
        "updated_at": comment.created_at,
        "body": comment.body,
    }


def _remarks(repository: Repository, api: str, pull: Pull) -> list[Json]:
    found = []
    for review in pull.reviews:
        if review.submitted_at is None:
            continue
        for comment in review.comments:
            item = _comment(repository, api, pull.number, comment)
            item["pull_request_url"] = f"{api}/repos/{repository.name}/pulls/{pull.number}"
            item |= {"path": comment.path, "line": comment.line, "original_line": comment.original_line}
            item["diff_hunk"] = comment.hunk
            item["pull_request_review_id"] = review.id
            if comment.in_reply_to is not None:
                item["in_reply_to_id"] = comment.in_reply_to
            found.append(item)
    return sorted(found, key=lambda item: (item["created_at"], item["id"]))


def _event(event: Event) -> Json:
    item: Json = {"event": event.kind, "created_at": event.created_at}
    if event.kind in ("labeled", "unlabeled"):
        item["label"] = {"name": event.was, "color": "ededed"}
    if event.kind == "renamed":
        item["rename"] = {"from": event.was, "to": "as it is called now"}
    return item


def _review(review: Review) -> Json:
    item = {"id": review.id, "user": _user(review.user), "body": review.body, "state": review.state}
    return item if review.submitted_at is None else item | {"submitted_at": review.submitted_at}


def _user(user: User | None) -> Json | None:
    return {"login": user.login, "id": sum(user.login.encode()), "type": user.kind} if user else None


def _commits(repository: Repository, pull: Pull) -> list[Json]:
    base = git(repository.folder, "merge-base", _base(repository, pull), pull.head).strip()
    listing = git(repository.folder, "rev-list", "--topo-order", "--reverse", f"{base}..{pull.head}").split()
    bodies = [git(repository.folder, "cat-file", "commit", sha).split("\n\n", 1)[1] for sha in listing]
    return [{"sha": sha, "commit": {"message": body}} for sha, body in zip(listing, bodies, strict=True)]


def files(repository: Repository, pull: Pull) -> list[Json]:
    """Changed files, with one `git diff` each: on purpose another way than the one under test."""
    base = git(repository.folder, "merge-base", _base(repository, pull), pull.head).strip()
    listing = git(repository.folder, "diff", "-z", "-M", "--name-status", base, pull.head).split("\0")[:-1]
    found = []
    while listing:
        status = listing.pop(0)
        before = listing.pop(0)
        after = listing.pop(0) if status[0] in "RC" else before
        options = ("diff", "-M", "--inter-hunk-context=1", base, pull.head, "--", *{before, after})
        patch = git(repository.folder, "-c", "diff.noprefix=false", *options)
        item: Json = {"filename": after, "status": STATUSES[status[0]]}
        if before != after:
            item["previous_filename"] = before
        start = patch.find("\n@@ ")
        body = patch[start + 1 :] if start >= 0 else ""
        item["changes"] = sum(line.startswith(("+", "-")) for line in body.splitlines())
        if start >= 0 and not pull.hidden_patches:
            item["patch"] = body.removesuffix("\n")
        found.append(item)
    return found


def _base(repository: Repository, pull: Pull) -> str:
    return f"{pull.merge_commit}^1" if pull.merge_commit else pull.base
