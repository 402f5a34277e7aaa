"""Parameters of the harvest: what a person fills in, and what `resolve` makes of it for the three steps."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tasks.base.params import EXECUTION, Params

_OPTION: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/@]*@)?-")
"""An address, or a host in it, that git or ssh could take for an option."""


def _plain(address: str) -> str:
    if _OPTION.match(address) or not address.isprintable():
        raise ValueError(
            f"{address!r} begins with a dash or has control characters; write ./-name for a folder of such a name"
        )
    return address


Address = Annotated[str, AfterValidator(_plain)]
"""A path or URL that no program can take for an option."""


_MOVED: Final = {
    "drop": "`drop` is now `dataset.filter.drop`",
    "max_data_bytes": "`max_data_bytes` is now `dataset.filter.max_data_bytes`",
    "duplicates": "`duplicates` is gone: `corpus/deduplicate` leaves copies out",
}
"""Where the keys of `sources.files` went that judged what is read."""


class SnapshotParams(Params):
    """Which files of the snapshot can be read; which of them are trained on is said by `dataset.filter`."""

    max_bytes: int = Field(1_000_000, ge=1)
    """Larger files are not read (verdict `too-large`)."""

    @model_validator(mode="before")
    @classmethod
    def _moved_keys_are_named(cls, document: Any) -> Any:
        moved = sorted(_MOVED.keys() & document.keys()) if isinstance(document, dict) else []
        if moved:
            told = "; ".join(_MOVED[name] for name in moved)
            raise PydanticCustomError("moved", "{told}", {"told": told})
        return document


class PullsParams(Params):
    """Which pull requests are harvested."""

    limit: int | None = Field(100, ge=1)
    """The last this many by creation; null = all."""
    since: datetime.date | None = None
    """Only those created on this day (UTC) or later; null = no bound."""
    state: Literal["all", "open", "closed", "merged"] = "all"
    """State at `as_of`; a plain git repository can tell only `all` and `merged`."""
    bots: Literal["keep", "drop"] = "keep"
    """Whether pull requests opened by bots (dependabot and the like) are harvested."""


class ThreadsParams(Params):
    """Which issues, or which discussions, are harvested."""

    limit: int | None = Field(500, ge=1)
    """The last this many by creation; null = all."""
    since: datetime.date | None = None
    """Only those created on this day (UTC) or later; null = no bound."""
    state: Literal["all", "open", "closed"] = "all"
    """State at `as_of`."""
    bots: Literal["keep", "drop"] = "drop"
    """Whether those that bots opened are harvested."""
    people: Literal["hide", "keep"] = "hide"
    """Whether names of accounts, e-mail addresses and telephone numbers are hidden."""


class ReleasesParams(Params):
    """Which releases are harvested: what a forge tells of each."""

    limit: int | None = Field(100, ge=1)
    """The last this many by the day of publication; null = all."""
    prereleases: Literal["keep", "drop"] = "keep"
    """Whether releases marked as not final are harvested."""
    people: Literal["hide", "keep"] = "hide"
    """Whether mentions of accounts, e-mail addresses and telephone numbers are hidden."""


class GithubParams(Params):
    """How GitHub is reached. Its token: `GITHUB_TOKEN` or a Prefect Secret block, never from here."""

    api_url: Annotated[str, EXECUTION] = Field("https://api.github.com", pattern=r"^https?://")
    """Base URL of the REST API; GitHub Enterprise has `https://HOST/api/v3`."""
    token_block: Annotated[str | None, EXECUTION] = None
    """Name of a Prefect Secret block that holds the token; null = `GITHUB_TOKEN`, or no token where that is unset."""
    threads: Annotated[Literal["auto", "graphql", "rest"], EXECUTION] = "auto"
    """How comments and reviews are read; `auto` is GraphQL with a token, REST without one or where GraphQL fails."""
    max_wait: Annotated[float, EXECUTION] = Field(3_900, ge=0)
    """Seconds that one wait for a rate limit may last; GitHub's primary limit resets hourly."""
    secondary_wait: Annotated[float, EXECUTION] = Field(60, gt=0)
    """Seconds to wait after a limit that names no time; GitHub asks for at least 60, doubled each time."""
    timeout: Annotated[float, EXECUTION] = Field(30, gt=0)
    """Seconds without an answer after which a request is tried again."""

    @property
    def address(self) -> str:
        """The API's URL without a slash at its end."""
        return self.api_url.rstrip("/")


class ForgeParams(Params):
    """How a forge with one address and one kind of token is reached."""

    url: Annotated[str, EXECUTION] = Field(pattern=r"^https?://")
    """Address of the server; its token goes nowhere else."""
    token_block: Annotated[str | None, EXECUTION] = None
    """Name of a Prefect Secret block that holds the token; null = the environment's, or no token where it has none."""
    max_wait: Annotated[float, EXECUTION] = Field(3_900, ge=0)
    """Seconds that one wait for a rate limit may last."""
    secondary_wait: Annotated[float, EXECUTION] = Field(60, gt=0)
    """Seconds to wait after a limit that names no time, doubled each time."""
    timeout: Annotated[float, EXECUTION] = Field(30, gt=0)
    """Seconds without an answer after which a request is tried again."""

    @property
    def address(self) -> str:
        """The URL without a slash at its end."""
        return self.url.rstrip("/")


class GitlabParams(ForgeParams):
    """How GitLab is reached. Its token: `GITLAB_TOKEN` or a Prefect Secret block, never from here."""

    url: Annotated[str, EXECUTION] = Field("https://gitlab.com", pattern=r"^https?://")
    """Address of the server; its token goes nowhere else."""


class GiteaParams(ForgeParams):
    """How Gitea or Forgejo is reached. Its token: `GITEA_TOKEN` or a Secret block, never from here."""

    url: Annotated[str, EXECUTION] = Field("https://codeberg.org", pattern=r"^https?://")
    """Address of the server; its token goes nowhere else."""


AnyForge = GithubParams | GitlabParams | GiteaParams
ForgeName = Literal["github", "gitlab", "gitea"]


class Servers(Params):
    """How each forge is reached."""

    github: GithubParams = GithubParams()
    gitlab: GitlabParams = GitlabParams()
    gitea: GiteaParams = GiteaParams()


class DocumentsParams(Params):
    """A folder of documents and conversations beside the repository."""

    path: Address = Field(min_length=1)
    """A folder, an archive (zip, tar), an `s3://` prefix, or a path or URL of a git repository: Markdown, HTML, text,
    docx, pptx, odt, epub, rtf, PDF; mail (eml, mbox) and JSON lines (docs/documents.md) become conversations.
    """
    people: Literal["hide", "keep"] = "hide"
    """Whether names, e-mail addresses and telephone numbers in conversations are hidden."""
    max_bytes: int = Field(25_000_000, ge=1)
    """Larger files are left out (verdict `too-large`)."""
    base_url: str | None = Field(None, pattern=r"^https?://")
    """Where people find the folder; a document's link is this and its path. Null = no links."""


class SourceParams(Params):
    """One repository at a date, with its pull requests, its wiki and documents beside it."""

    repo: Address = Field(min_length=1)
    """OWNER/NAME on GitHub, or a path (relative to the working directory) or URL of any git repository, bare too."""
    forge: ForgeName = "github"
    """Where OWNER/NAME (on GitLab also GROUP/…/NAME) is; `gitea` is Forgejo too. Its address: section of its name."""
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$")
    """What its documents are filed under; null = OWNER/NAME, or its origin's base name. Tells two of one name apart."""
    as_of: datetime.date | None = None
    """Last day, UTC: the default branch's first-parent head at its end is read; null = the run's scheduled start."""
    pulls: PullsParams | None = PullsParams()
    """Which pull requests; null = none."""
    issues: ThreadsParams | None = None
    """Which issues, with their comments; of a forge only. Null = none."""
    discussions: ThreadsParams | None = None
    """Which discussions, with comments and replies; of GitHub with a token only. Null = none."""
    releases: ReleasesParams | None = None
    """Which releases, with their notes; of a forge only. Null = none."""
    wiki: Address | None = "auto"
    """`auto` = the repository's own if it has one; or a path or URL of a git repository or folder; null = none."""
    documents: DocumentsParams | None = None
    """Documents and conversations beside the repository; null = none."""
    files: SnapshotParams = SnapshotParams()
    """Which files are read."""


class Remote(Params):
    """Where a mirror fetches what it lacks."""

    url: Address
    repo: str = ""
    """OWNER/NAME on its forge; empty for plain git."""
    github: GithubParams | None = None
    """How GitHub is reached and its token found; null for every other, so are the next two. Plain git gets none."""
    gitlab: GitlabParams | None = None
    gitea: GiteaParams | None = None

    @property
    def server(self) -> AnyForge | None:
        """Its forge; None for plain git."""
        return self.github or self.gitlab or self.gitea


class ResolvedSnapshot(Params):
    """The commit whose files are read."""

    repo: str
    """The source's name, by default OWNER/NAME or the base name without `.git`; every document id begins with it."""
    revision: str
    """Commit sha."""
    committed_at: str
    """Committer date of the revision, RFC 3339 with Z."""
    web_url: str | None
    """Where the repository is shown to people; null for plain git."""
    forge: ForgeName = "github"
    """By whose rules that address goes on."""
    location: Annotated[str, EXECUTION]
    """Git directory to read from: the source itself where it is local, else its mirror in the store's cache."""
    remote: Annotated[Remote | None, EXECUTION] = None
    """Where the mirror gets blobs that it lacks; null = it lacks none."""


class PullReference(Params):
    """One selected pull request, before its thread and diff are read; or an issue or discussion, which has no head."""

    number: int
    updated_at: str | None
    """When its forge last changed it; null from plain git."""
    head: str | None
    """Commit sha of the head; null where git has none."""
    merge: str | None = None
    """Commit that merged it, where known."""
    base: str | None = None
    """Tip of the base branch as GitHub has it; null elsewhere."""
    fork: str | None = None
    """Commit from which it is compared, where finding the date has found it already."""
    is_late: bool = False
    """Whether it changed after the source's date, so that it is shown as it stood then."""


class ResolvedPulls(Params):
    """The selected pull requests. The key bears their digest, so it changes only when one of them did."""

    repo: str
    digest: str
    """SHA-256 over number, update time, head and merge of every selected pull request, and the date where it is late.
    """
    count: int
    web_url: str | None
    location: Annotated[str, EXECUTION]
    """Git directory to read diffs from."""
    remote: Annotated[Remote | None, EXECUTION] = None
    """Its forge, where threads are read and the mirror gets blobs that it lacks; null for plain git."""
    trunk: Annotated[str, EXECUTION]
    """Head of the default branch, from which an unmerged pull request's base is found."""
    until: Annotated[str, EXECUTION] = "9999"
    """Last moment, RFC 3339; what happened later is not in the documents. The digest bears it where that matters."""
    selection: Annotated[tuple[PullReference, ...], EXECUTION] = Field(default=(), exclude=True, repr=False)
    """What the digest stands for, newest first; not dumped into reports."""


class ResolvedThreads(Params):
    """The selected issues or discussions. As for pull requests the key bears their digest."""

    kind: Literal["issue", "discussion"]
    repo: str
    forge: ForgeName = "github"
    """What names its accounts may have."""
    digest: str
    """SHA-256 over number and update time of each, and the date where it is late."""
    count: int
    people: Literal["hide", "keep"]
    remote: Annotated[Remote, EXECUTION]
    """Its forge, where threads are read."""
    until: Annotated[str, EXECUTION]
    """Last moment, RFC 3339; what happened later is not in the documents."""
    selection: Annotated[tuple[PullReference, ...], EXECUTION] = Field(default=(), exclude=True, repr=False)
    """What the digest stands for, newest first; not dumped into reports."""


class ReleaseNote(Params):
    """What the forge tells of a release."""

    tag: str
    title: str
    text: str
    """Markdown."""
    url: str | None
    published_at: str


class ResolvedReleases(Params):
    """The selected releases; their list has their texts, so it is all that is read."""

    repo: str
    forge: ForgeName = "github"
    digest: str
    """SHA-256 over what is told of each."""
    count: int
    people: Literal["hide", "keep"]
    notes: Annotated[tuple[ReleaseNote, ...], EXECUTION] = Field(default=(), exclude=True, repr=False)
    """What the digest stands for; not dumped into reports."""


class ResolvedWiki(Params):
    """The wiki's commit, or none."""

    repo: str
    revision: str | None
    """Commit (or, for a plain folder, tree) sha; null = the repository has no wiki."""
    web_url: str | None
    forge: ForgeName = "github"
    location: Annotated[str | None, EXECUTION] = None
    remote: Annotated[Remote | None, EXECUTION] = None


class ResolvedDocuments(Params):
    """The documents' tree, and how they are read."""

    repo: str
    revision: str
    """Commit, or for a plain folder tree, sha."""
    until: int | None
    """Entries of conversations that were said later (seconds since 1970) are left out; null = none are."""
    people: Literal["hide", "keep"]
    max_bytes: int
    base_url: str | None
    location: Annotated[str, EXECUTION]
    remote: Annotated[Remote | None, EXECUTION] = None


class ResolvedSource(Params):
    """What one source came to at its date; parameters of the harvest steps and part of the run's JSON."""

    snapshot: ResolvedSnapshot
    pulls: ResolvedPulls | None
    """Null = switched off."""
    wiki: ResolvedWiki | None
    """Null = switched off."""
    issues: ResolvedThreads | None = None
    """Null = switched off."""
    discussions: ResolvedThreads | None = None
    """Null = switched off."""
    releases: ResolvedReleases | None = None
    """Null = switched off."""
    documents: ResolvedDocuments | None = None
    """Null = there are none."""
