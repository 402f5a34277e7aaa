"""Threads of pull requests and issues by REST: the fallback where there is no GraphQL (Enterprise servers, no token).

Comments are read for the whole repository since the oldest pull request where that takes fewer requests than one per
pull request; reviews exist only per pull request. So 100 pull requests take about 105 requests, not 505.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tasks.harvest.forge.at_date import EVENTS
from tasks.harvest.forge.cache import DETAILS, ForgeCache
from tasks.harvest.forge.remarks import ordered, rooted
from tasks.harvest.github.client import Client, last_page
from tasks.harvest.params import PullReference

Item = dict[str, Any]


def detail(item: Item) -> Item:
    """What a pull request's own resource, or its entry in a list, says of it."""
    return {
        "number": item["number"],
        "title": item["title"],
        "body": item.get("body") or "",
        "url": item["html_url"],
        "state": item["state"],
        "merged_at": item.get("merged_at"),
        "closed_at": item.get("closed_at"),
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
        "author": author(item.get("user")),
        "draft": bool(item.get("draft")),
        "labels": sorted(label["name"] for label in item.get("labels", [])),
    }


def issue_detail(item: Item) -> Item:
    """What an issue's own resource, or its entry in a list, says of it."""
    found = detail(item) | {"not_planned": item.get("state_reason") in ("not_planned", "duplicate")}
    return {name: value for name, value in found.items() if name not in ("merged_at", "draft")}


def rest_issues(client: Client, cache: ForgeCache, references: Sequence[PullReference]) -> Iterator[Item]:
    """Threads of the issues, in the order given; events as in `rest_threads`."""
    details = {item.number: _issue(client, cache, item) for item in references}
    comments = _grouped(
        client, "/issues/comments", "/issues/{}/comments", list(details), _span(details.values()), "issue_url"
    )
    for reference in references:
        yield details[reference.number] | {
            "comments": ordered([_comment(item) for item in comments(reference.number)]),
            "events": rest_events(client, reference.number) if reference.is_late else None,
        }


def rest_threads(client: Client, cache: ForgeCache, references: Sequence[PullReference]) -> Iterator[Item]:
    """Threads of the pull requests, in the order given.

    Events cost a request each, so they are read only of those that changed after the date; of others they are null.
    """
    details = {item.number: _detail(client, cache, item) for item in references}
    span = _span(details.values())
    numbers = [item.number for item in references]
    comments = _grouped(client, "/issues/comments", "/issues/{}/comments", numbers, span, "issue_url")
    remarks = _grouped(client, "/pulls/comments", "/pulls/{}/comments", numbers, span, "pull_request_url")
    for number, is_late in ((item.number, item.is_late) for item in references):
        reviews = [item for item in client.items(f"/pulls/{number}/reviews") if item.get("submitted_at")]
        yield details[number] | {
            "comments": ordered([_comment(item) for item in comments(number)]),
            "reviews": ordered([_review(item) for item in reviews]),
            "review_comments": rooted([_remark(item) for item in remarks(number)]),
            "events": rest_events(client, number) if is_late else None,
        }


def rest_events(client: Client, number: int) -> list[Item]:
    """What happened to a pull request, of the kinds of `EVENTS`, ascending by date; none where a server has no such
    list.
    """
    found = []
    for answer in client.pages(f"/issues/{number}/events", absent=True):
        for item in answer.data if answer.status == 200 else ():
            if item["event"] in EVENTS.values():
                was = (item.get("label") or {}).get("name") or (item.get("rename") or {}).get("from") or ""
                found.append({"event": item["event"], "created_at": item["created_at"], "was": was})
    return sorted(found, key=lambda event: event["created_at"])


def rest_files(client: Client, number: int) -> list[Item]:
    """Changed files of a pull request by the files API, for a head that git does not give; at most 3,000.

    `left_out` marks a file whose patch was too large for GitHub.
    """
    return [
        {
            "path": item["filename"],
            "status": item["status"],
            "previous_path": item.get("previous_filename"),
            "patch": item.get("patch"),
            "left_out": "patch" not in item and item.get("changes", 0) > 0,
        }
        for item in client.items(f"/pulls/{number}/files")
    ]


def rest_commits(client: Client, number: int) -> list[Item]:
    """Commits of a pull request, the oldest first; at most 250, as GitHub has it."""
    return [
        {"sha": item["sha"], "message": item["commit"]["message"].rstrip("\n")}
        for item in client.items(f"/pulls/{number}/commits")
    ]


def author(user: Item | None) -> str:
    """Login; `ghost` stands for a deleted account, as on GitHub's pages."""
    return str(user["login"]) if user else "ghost"


def _span(details: Iterable[Item]) -> tuple[str, str]:
    """When the first was created and the last updated."""
    found = list(details)
    return (
        min((item["created_at"] for item in found), default=""),
        max((item["updated_at"] for item in found), default=""),
    )


def _issue(client: Client, cache: ForgeCache, reference: PullReference) -> Item:
    kept = cache.thread(reference.number, reference.updated_at, DETAILS)
    return kept or issue_detail(client.get(f"/issues/{reference.number}").data)


def _detail(client: Client, cache: ForgeCache, reference: PullReference) -> Item:
    kept = cache.thread(reference.number, reference.updated_at, DETAILS)
    return kept or detail(client.get(f"/pulls/{reference.number}").data)


def _grouped(
    client: Client, everywhere: str, one: str, numbers: list[int], span: tuple[str, str], address: str
) -> Callable[[int], list[Item]]:
    """Reads a kind of comment of all the pull requests, and returns how to get those of one.

    Args:
        client: asks GitHub.
        everywhere: path of the repository-wide list.
        one: path of the list of one pull request.
        numbers: the pull requests.
        span: when the first of them was created and the last updated; no comment lies outside.
        address: field that says which pull request a comment belongs to.
    """
    if len(numbers) < 2:
        return lambda number: client.items(one.format(number))
    found: dict[int, list[Item]] = {number: [] for number in numbers}
    query = {"since": span[0], "sort": "created", "direction": "asc"}
    for count, answer in enumerate(client.pages(everywhere, query), 1):
        last = last_page(answer.headers.get("link", "")) or count
        if max(last, count) > len(numbers):  # one request per pull request is cheaper
            return lambda number: client.items(one.format(number))
        for item in answer.data:
            number = int(item[address].rsplit("/", 1)[-1])
            if number in found:
                found[number].append(item)
        if answer.data and answer.data[-1]["created_at"] > span[1]:
            break
    return lambda number: found[number]


def _comment(item: Item) -> Item:
    return {
        "id": item["id"],
        "author": author(item.get("user")),
        "created_at": item["created_at"],
        "body": item.get("body") or "",
    }


def _review(item: Item) -> Item:
    return {
        "id": item["id"],
        "author": author(item.get("user")),
        "created_at": item["submitted_at"],
        "body": item.get("body") or "",
        "state": item["state"],
    }


def _remark(item: Item) -> Item:
    line = item.get("line")
    return _comment(item) | {
        "path": item["path"],
        "line": item.get("original_line") if line is None else line,
        "hunk": item.get("diff_hunk") or "",
        "in_reply_to": item.get("in_reply_to_id"),
    }
