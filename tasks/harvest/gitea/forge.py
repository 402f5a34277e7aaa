"""Gitea and Forgejo as a forge: lists, timelines of threads, reviews of pull requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tasks.harvest.dates import utc
from tasks.harvest.forge.at_date import is_draft, renamed
from tasks.harvest.forge.cache import DETAILS, ForgeCache, Index, Listed
from tasks.harvest.forge.client import OnWait
from tasks.harvest.forge.forge import NOUNS, Facts
from tasks.harvest.forge.index import Wanted, refresh
from tasks.harvest.forge.listing import SAID, Queries, RestLister, object_id
from tasks.harvest.forge.releases import chosen
from tasks.harvest.forge.remarks import ordered
from tasks.harvest.gitea.client import GiteaClient
from tasks.harvest.params import GiteaParams, PullReference, ReleaseNote, ReleasesParams, Remote
from tasks.text.people import is_bot

Item = dict[str, Any]

SWITCHES: Final = {"pull": "has_pull_requests", "issue": "has_issues"}
"""Fields of the repository that say whether it has them."""
STATES: Final = {"APPROVED": "APPROVED", "COMMENT": "COMMENTED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}
"""Of reviews that were sent, and what GitHub calls them."""
STATUSES: Final = {"added": "added", "deleted": "removed", "renamed": "renamed", "copied": "copied"}
_ENDS: Final = {"close": "closed", "merge_pull": "closed", "reopen": "reopened"}
_PROGRAMS: Final = frozenset({"gitea-actions", "forgejo-actions"})

QUERIES: Final = {
    "pull": Queries(
        "/pulls",
        lambda bound: {"state": "all", "sort": "recentupdate"},
        lambda start: {"state": "all"},
        narrows=False,
    ),
    "issue": Queries(
        "/issues",
        lambda bound: {"state": "all", "type": "issues"} | ({"since": bound} if bound else {}),
        lambda start: {"state": "all", "type": "issues"},
        narrows=False,
    ),
}
"""Without an order both are by creation, the newest first; of issues no other can be asked for, but a bound."""


class GiteaForge:
    """One repository on Gitea or Forgejo."""

    name = "Gitea"
    heads = "refs/pull/{}/head"
    threads_of = frozenset(QUERIES)

    def __init__(self, server: GiteaParams, repo: str, on_wait: OnWait | None) -> None:
        self.server = server
        self.repo = repo
        self._clients = {kind: GiteaClient(server, repo, on_wait, NOUNS[kind]) for kind in QUERIES}
        self._repository: Item = {}

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(client.requests for client in self._clients.values())

    def identify(self, cache: ForgeCache) -> None:
        """Empties the cache if it is that of another repository of the same name."""
        cache.claim(self._facts()["id"])

    def facts(self) -> Facts:
        """Where the repository is."""
        said = self._facts()
        return Facts(said["clone_url"], said["html_url"])

    def refresh(
        self, kind: str, cache: ForgeCache, index: Index, params: Wanted, until: int
    ) -> tuple[Index, str | None]:
        """The index brought up to date; where a repository has switched off a kind, there is none of it."""
        if self._facts().get(SWITCHES[kind]) is False:
            return Index(), None
        lister = RestLister(self._clients[kind], cache, QUERIES[kind], listed, detail)
        return refresh(index, lister, params, until), None

    def releases(self, params: ReleasesParams, until: str) -> tuple[ReleaseNote, ...]:
        """What is told of the wanted releases."""
        found = self._clients["pull"].items("/releases")
        told = [item | {"published_at": utc(item["published_at"])} for item in found if item.get("published_at")]
        return chosen(told, params, until)

    def remote(self, clone_url: str) -> Remote:
        """Where the mirror is fetched from."""
        return Remote(url=clone_url, repo=self.repo, gitea=self.server)

    def threads(self, kind: str, cache: ForgeCache, references: Sequence[PullReference]) -> Iterator[Item]:
        """Threads: a request for the timeline if somebody spoke, and requests for reviews.

        The reviews of a pull request cost one, and each that has remarks one more.
        """
        client = self._clients[kind]
        for reference in references:
            path = f"{QUERIES[kind].path}/{reference.number}"
            head = cache.thread(reference.number, reference.updated_at, DETAILS) or detail(client.get(path).data)
            is_silent = head.pop(SAID, 1) == 0 and not reference.is_late
            happened = [] if is_silent else client.items(f"/issues/{reference.number}/timeline")
            said = [_comment(item) for item in happened if item["type"] == "comment"]
            thread = head | {"comments": ordered(said)}
            if kind == "pull":
                thread |= _reviewed(client, path)
            yield thread | {"events": events(happened) if reference.is_late else None}

    def files(self, number: int) -> list[Item]:
        """Changed files by the API, which has no patches."""
        return [
            {
                "path": item["filename"],
                "status": STATUSES.get(item["status"], "modified"),
                "previous_path": item.get("previous_filename") or None,
                "patch": None,
                "left_out": item.get("changes", 0) > 0,
            }
            for item in self._clients["pull"].items(f"/pulls/{number}/files")
        ]

    def commits(self, number: int) -> list[Item]:
        """Commits by the API, which has the newest first."""
        found = self._clients["pull"].items(f"/pulls/{number}/commits", {"verification": "false", "files": "false"})
        return [{"sha": item["sha"], "message": item["commit"]["message"].rstrip("\n")} for item in found[::-1]]

    def _facts(self) -> Item:
        if not self._repository:
            self._repository = self._clients["pull"].get("").data
        return self._repository


def listed(item: Item) -> Listed:
    """What the list says of a pull request or an issue."""
    merged_at = _date(item.get("merged_at"))
    return Listed(
        number=item["number"],
        created_at=utc(item["created_at"]),
        updated_at=utc(item["updated_at"]),
        closed_at=_date(item.get("closed_at")) or merged_at,
        merged_at=merged_at,
        bot=is_bot(author(item.get("user"))),
        head=object_id((item.get("head") or {}).get("sha")),
        base=object_id((item.get("base") or {}).get("sha")),
        merge=object_id(item.get("merge_commit_sha")) if merged_at else None,
        fork=object_id(item.get("merge_base")),
    )


def detail(item: Item) -> Item:
    """What a pull request's or an issue's entry in a list, or its own resource, says of it."""
    merged_at = _date(item.get("merged_at"))
    found = {
        "number": item["number"],
        "title": item["title"],
        "body": item.get("body") or "",
        "url": item["html_url"],
        "state": item["state"],
        "merged_at": merged_at,
        "closed_at": _date(item.get("closed_at")) or merged_at,
        "created_at": utc(item["created_at"]),
        "updated_at": utc(item["updated_at"]),
        "author": author(item.get("user")),
        "draft": bool(item.get("draft", is_draft(item["title"]))),
        "labels": sorted(label["name"] for label in item.get("labels") or ()),
        SAID: item.get("comments", 1),
    }
    if "head" in item:  # only pull requests have one
        return found
    found["not_planned"] = False  # Gitea does not tell why one was closed
    return {name: value for name, value in found.items() if name not in ("merged_at", "draft")}


def events(timeline: Iterable[Item]) -> list[Item]:
    """What happened, ascending by date."""
    found: list[Item] = []
    for item in timeline:
        moment = utc(item["created_at"])
        if item["type"] in _ENDS:
            found.append({"event": _ENDS[item["type"]], "created_at": moment, "was": ""})
        elif item["type"] == "label" and item.get("label"):
            name = "labeled" if item.get("body") else "unlabeled"
            found.append({"event": name, "created_at": moment, "was": item["label"]["name"]})
        elif item["type"] == "change_title":
            found += renamed(item["old_title"], item["new_title"], moment)
    return sorted(found, key=lambda event: event["created_at"])


def author(user: Item | None) -> str:
    """Login; a deleted account is `ghost`, and what the forge's own programs do has the end of GitHub's."""
    if user is None or user["login"] == "Ghost":
        return "ghost"
    return f"{user['login']}[bot]" if user["login"] in _PROGRAMS else str(user["login"])


def _reviewed(client: GiteaClient, path: str) -> Item:
    """Reviews that were sent, and what they say of lines; what stands on one line is one conversation, as on Gitea."""
    reviews = [item for item in client.items(f"{path}/reviews") if item["state"] in STATES]
    remarks = [
        _remark(item)
        for review in reviews
        if review.get("comments_count", 1)
        for item in client.items(f"{path}/reviews/{review['id']}/comments")
    ]
    first: dict[tuple[str, int | None], int] = {}
    for remark in (said := ordered(remarks)):
        root = first.setdefault((remark["path"], remark["line"]), remark["id"])
        remark["in_reply_to"] = None if root == remark["id"] else root
    told = [
        _comment(item | {"created_at": item["submitted_at"]}) | {"state": STATES[item["state"]]} for item in reviews
    ]
    return {"reviews": ordered(told), "review_comments": said}


def _remark(item: Item) -> Item:
    return _comment(item) | {
        "path": item["path"],
        "line": item.get("position") or item.get("original_position") or None,
        "hunk": item.get("diff_hunk") or "",
        "in_reply_to": None,
    }


def _comment(item: Item) -> Item:
    return {
        "id": item["id"],
        "author": author(item.get("user")),
        "created_at": utc(item["created_at"]),
        "body": item.get("body") or "",
    }


def _date(written: str | None) -> str | None:
    return utc(written) if written else None
