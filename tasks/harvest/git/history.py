"""Pull requests as git alone knows them: heads under `refs/pull`, and the commits on the trunk that merged them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tasks.harvest.dates import LAST, day_start, seconds
from tasks.harvest.git.objects import object_reader
from tasks.harvest.git.repository import Repository
from tasks.harvest.params import PullReference, PullsParams

if TYPE_CHECKING:
    import pygit2

_MERGE_SUBJECT: Final = re.compile(r"^Merge pull request #([0-9]{1,9}) from ")
_SQUASH_SUBJECT: Final = re.compile(r" \(#([0-9]{1,9})\)$")

_GITLAB: Final = re.compile(r"^See merge request [^\s!]{0,300}!([0-9]{1,9})$", re.MULTILINE)
_AZURE: Final = re.compile(r"^Merged PR ([0-9]{1,9}): ")
_BITBUCKET: Final = re.compile(r"^Merged in [^\n]{1,300} \(pull request #([0-9]{1,9})\)$")
_BITBUCKET_SERVER: Final = re.compile(r"^Pull request #([0-9]{1,9}): ")

_GREP: Final = (
    r"^Merge pull request #[0-9]+ from ",
    r" \(#[0-9]+\)$",
    r"^See merge request .*![0-9]+$",
    r"^Merged PR [0-9]+: ",
    r"^Merged in .* \(pull request #[0-9]+\)$",
    r"^Pull request #[0-9]+: ",
)
"""The same for git, which matches any line of a message: what `_merge` then looks at need not be the whole history."""

MAX_COMMIT_BYTES: Final = 200_000
"""The message of a larger commit object is not read; GitHub's descriptions end at 65,536 characters."""

MAX_COMMITS: Final = 250
"""GitHub lists no more commits of a pull request than this either."""


@dataclass(frozen=True)
class Merge:
    """A commit that brought a pull request into the trunk, by its subject."""

    number: int
    commit: str
    parents: tuple[str, ...]
    committed: int
    title: str
    """Empty where the commit names only what was merged."""
    body: str

    @property
    def squashed(self) -> bool:
        """Whether the pull request became one ordinary commit."""
        return len(self.parents) < 2


@dataclass(frozen=True)
class Commit:
    """One commit of a pull request."""

    sha: str
    author: str
    committed: int
    message: str
    cut: int = 0
    """Bytes of the whole commit, where the message was too large to be read; else 0."""


def merges(repository: Repository, head: str) -> dict[int, Merge]:
    """Merge and squash commits reachable from `head` by pull number (the earliest).

    They are told by the words of GitHub, GitLab, Azure DevOps and Bitbucket.
    """
    subjects = ("--extended-regexp", *(f"--grep={pattern}" for pattern in _GREP))
    log = repository.run("log", "-z", *subjects, "--format=%H%n%P%n%ct%n%B", revisions=[head])
    found: dict[int, Merge] = {}
    cut = repository.cut()
    for entry in log.decode("utf-8", "replace").split("\0"):
        if not entry:
            continue
        sha, parents, committed, message = (*entry.split("\n", 3), "")[:4]
        named = repository.parents(sha) if sha in cut else tuple(parents.split())
        merge = _merge(sha, named, seconds(committed), message)
        if merge is not None:  # the log runs from new to old
            found[merge.number] = merge
    return found


def own_commits(repository: pygit2.Repository, base: str | None, head: str) -> list[Commit]:
    """Commits of a pull request, oldest first: what `head` has and `base` has not, at most the newest `MAX_COMMITS`."""
    import pygit2

    walker = repository.walk(head, pygit2.enums.SortMode.TOPOLOGICAL)
    if base is not None:
        walker.hide(base)
    commits = []
    for commit in walker:
        commits.append(_commit(repository, str(commit.id)))
        if len(commits) == MAX_COMMITS:
            break
    return commits[::-1]


def _commit(repository: pygit2.Repository, sha: str) -> Commit:
    """A commit's facts; a message larger than `MAX_COMMIT_BYTES` is left out."""
    _, size = repository.odb.read_header(sha)
    commit: Any = repository[sha]
    author = _decoded(commit.author.raw_name, commit.message_encoding)
    committed = min(max(commit.commit_time, 0), LAST)
    if size > MAX_COMMIT_BYTES:
        return Commit(sha, author, committed, "", size)
    return Commit(sha, author, committed, _decoded(commit.raw_message, commit.message_encoding))


def _decoded(data: bytes, encoding: str | None) -> str:
    """Text of a commit: UTF-8 where it is, whatever the header says, else what the header says, else with marks."""
    for name in ("utf-8", encoding):
        try:
            return data.decode(name or "utf-8")
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("utf-8", "replace")


def fork_point(
    repository: pygit2.Repository, reference: PullReference, trunk: str | None, merge_parent: str | None
) -> str | None:
    """The commit from which GitHub compares: the head's merge base with the base branch as that was before the merge.

    Args:
        repository: holds the head and, where it is known, the merge commit.
        reference: the pull request; its head is known.
        trunk: head of the default branch.
        merge_parent: first parent of the merge or squash commit.
    """
    for candidate in (merge_parent, None if reference.merge else reference.base, trunk):
        if candidate is not None and reference.head is not None and candidate in repository:
            found = repository.merge_base(candidate, reference.head)
            if found is not None:
                return str(found)
    return None


def head_at(repository: pygit2.Repository, base: str | None, head: str, until: int) -> str:
    """The newest of a pull request's commits that was made by a moment; its head where all were made later, since a
    branch that was rebased does not tell what it was.

    Args:
        repository: holds the commits.
        base: commit from which it is compared.
        head: its head as it is now.
        until: seconds since 1970.
    """
    return next((commit.sha for commit in own_commits(repository, base, head)[::-1] if commit.committed <= until), head)


def select(
    repository: Repository, heads: dict[int, str], trunk: str, params: PullsParams, until: int
) -> Iterator[PullReference]:
    """The pull requests that the parameters ask for, the highest number first.

    Git does not know when one was opened: the date of its first own commit stands for that, and `until` (seconds since
    1970) bounds it. Where a shallow clone ends before a pull request's base, its head is null: it has no diff.
    """
    from pygit2 import GitError

    reader = object_reader(repository)
    merged, cut = merges(repository, trunk), repository.cut()
    since = day_start(params.since) if params.since else 0
    chosen = 0
    for number in sorted(heads.keys() | merged.keys(), reverse=True):
        if params.limit is not None and chosen == params.limit:
            return
        merge = merged.get(number)
        is_merged = merge is not None and merge.committed <= until
        head = heads.get(number) or (merge.commit if merge and merge.squashed else merge.parents[1] if merge else None)
        if head is None or (params.state == "merged" and not is_merged):
            continue
        known = merge.commit if merge and is_merged else None
        reference = PullReference(number=number, updated_at=None, head=head, merge=known)
        try:
            if head not in reader:  # a shallow clone ends before it; it gets a verdict
                yield reference
                continue
            base = fork_point(reader, reference, trunk, merge.parents[0] if merge and merge.parents else None)
            if cut and (base is None or base == head):
                yield reference.model_copy(update={"head": None})
                continue
            if (
                base == head
            ):  # the trunk was moved forward to it: what it began with is not known but for its last commit
                base = next((str(parent) for parent in reader[head].parent_ids), None)
            commits = own_commits(reader, base, head)
        except GitError:  # a commit that libgit2 cannot read; it gets a verdict
            yield reference
            continue
        opened = commits[0].committed if commits else repository.committed(head)
        if since <= opened <= until:
            chosen += 1
            is_late = any(commit.committed > until for commit in commits)
            yield reference.model_copy(update={"fork": base, "is_late": is_late})


def _merge(sha: str, parents: Sequence[str], committed: int, message: str) -> Merge | None:
    subject, _, rest = message.partition("\n")
    body = rest.strip("\n")
    titled, _, description = body.partition("\n")
    is_merge = len(parents) > 1
    if is_merge and (named := _MERGE_SUBJECT.match(subject) or _BITBUCKET.match(subject)):
        title, text = titled, description
    elif is_merge and (named := _GITLAB.search(body)):
        title, text = (titled, description) if named.start() else ("", "")
        text = text.replace(named.group(), "")
    elif named := _AZURE.match(subject) or _BITBUCKET_SERVER.match(subject):
        title, text = subject[named.end() :], body
    elif len(parents) == 1 and (named := _SQUASH_SUBJECT.search(subject)):
        title, text = subject[: named.start()], body
    else:
        return None
    return Merge(int(named.group(1)), sha, tuple(parents), committed, title, text.strip("\n"))
