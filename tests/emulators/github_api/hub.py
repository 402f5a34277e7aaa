"""What the emulated GitHub holds. Plain mutable objects: a test changes them as people change pull requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class User:
    """An account. `login` is as REST has it; a bot's ends in `[bot]` there and not in GraphQL."""

    login: str
    kind: Literal["User", "Bot"] = "User"


@dataclass
class Comment:
    """A comment, or a review comment if it has a path."""

    id: int
    user: User | None
    created_at: str
    body: str
    path: str | None = None
    line: int | None = None
    original_line: int | None = None
    in_reply_to: int | None = None
    hunk: str = ""


@dataclass(frozen=True)
class Event:
    """What happened to a pull request, by REST's names; `was` is a label, or the title before."""

    kind: Literal[
        "labeled", "unlabeled", "closed", "reopened", "renamed", "convert_to_draft", "ready_for_review", "assigned"
    ]
    created_at: str
    was: str = ""


@dataclass
class Review:
    """A review with its comments; `submitted_at` is null while it is pending."""

    id: int
    user: User | None
    submitted_at: str | None
    body: str
    state: str
    comments: list[Comment] = field(default_factory=list)


@dataclass
class Pull:
    """A pull request."""

    number: int
    title: str
    body: str | None
    head: str
    base: str
    created_at: str
    updated_at: str
    user: User | None = User("octocat")
    state: Literal["open", "closed"] = "open"
    merged_at: str | None = None
    closed_at: str | None = None
    merge_commit: str | None = None
    draft: bool = False
    base_ref: str = "main"
    head_ref: str = "topic"
    head_repo: bool = True
    """False: the fork was deleted."""
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    hidden_patches: bool = False
    """True: the files API leaves out every patch, as it does beyond its size limits."""


@dataclass
class Issue:
    """An issue."""

    number: int
    title: str
    body: str | None
    created_at: str
    updated_at: str
    user: User | None = User("octocat")
    state: Literal["open", "closed"] = "open"
    state_reason: Literal["completed", "not_planned", "duplicate", "reopened"] | None = None
    closed_at: str | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass
class Discussion:
    """A discussion; replies are comments with `in_reply_to`."""

    number: int
    title: str
    body: str
    created_at: str
    updated_at: str
    user: User | None = User("octocat")
    category: str = "Q&A"
    closed_at: str | None = None
    answer: int | None = None
    """Id of the comment that is the answer."""
    answered_at: str | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


@dataclass
class Release:
    """A release."""

    tag: str
    published_at: str | None
    body: str | None
    name: str | None = None
    draft: bool = False
    prerelease: bool = False


@dataclass
class Repository:
    """A repository: its git directory, pull requests, issues, discussions and wiki."""

    name: str
    """OWNER/NAME."""
    folder: Path
    pulls: list[Pull] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    discussions: list[Discussion] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    has_issues: bool = True
    wiki: Path | None = None
    id: int = 1
    private: bool = False
    issue_comments: list[tuple[int, Comment]] = field(default_factory=list)
    """Comments on plain issues, which repository-wide lists hold too."""

    def issue(self, number: int) -> Issue | None:
        """The issue of that number."""
        return next((issue for issue in self.issues if issue.number == number), None)

    def discussion(self, number: int) -> Discussion | None:
        """The discussion of that number."""
        return next((one for one in self.discussions if one.number == number), None)

    def pull(self, number: int) -> Pull | None:
        """The pull request of that number."""
        return next((pull for pull in self.pulls if pull.number == number), None)


@dataclass
class Hub:
    """All repositories, and the rules of access."""

    repositories: list[Repository]
    token: str | None = None
    """If set, only this token is accepted, and private repositories need it."""
    graphql: bool = True
    git: bool = True
    max_tree_entries: int = 100_000
    """A recursive tree with more is cut off."""
    hourly_limit: int = 5000
    used: int = 0
    resets_at: float = 0

    def repository(self, name: str) -> Repository | None:
        """The repository of that name, letters of either case."""
        return next((item for item in self.repositories if item.name.lower() == name.lower()), None)

    def by_id(self, number: int) -> Repository | None:
        """The repository of that number, for addresses of the form `/repositories/ID`."""
        return next((item for item in self.repositories if item.id == number), None)
