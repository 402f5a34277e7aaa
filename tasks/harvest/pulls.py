"""harvest/pulls: each selected pull request becomes one document with its thread and its changes.

In: the selection that `resolve` made. Out: `records.jsonl` of documents, kind `pull`, sorted by id, each as it stood at
the source's date. A document's text is the description; `meta` has number, state, merged_at, author, labels, commits
(sha, message without line ends at its end, where git and the API differ), comments, reviews, review_comments (with the
hunk that they are about) and files (path, status, previous_path, patch).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from tasks.base.errors import SourceError
from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.harvest.dates import rfc3339, seconds_of
from tasks.harvest.decoding import whole
from tasks.harvest.git.diff_cache import DiffCache
from tasks.harvest.git.diffs import MAX_CHANGED_FILES, MAX_PATCHED_BYTES, Trees, survey
from tasks.harvest.git.history import Commit, Merge, fork_point, head_at, merges, own_commits
from tasks.harvest.git.mirror import fetch_blobs, open_source
from tasks.harvest.git.objects import object_reader
from tasks.harvest.git.repository import Repository
from tasks.harvest.params import PullReference, ResolvedPulls
from tasks.harvest.threads import Threads

VERSION: Final = "2026.11.30.5"

Item = dict[str, Any]


class Comparison(NamedTuple):
    """A pull request with the commits that its diff lies between."""

    reference: PullReference
    trees: Trees
    base: str | None
    merge: Merge | None


class Unreadable(NamedTuple):
    """A pull request with a commit that cannot be read."""

    reference: PullReference
    why: str


def comparisons(repository: Repository, source: ResolvedPulls) -> Iterator[Comparison | Unreadable | PullReference]:
    """Every selected pull request by ascending number; the bare reference where git has no head of it."""
    from pygit2 import GitError

    reader = object_reader(repository)
    merged = merges(repository, source.trunk) if source.remote is None or source.remote.server is None else {}
    empty = repository.run("hash-object", "-t", "tree", "--stdin", stdin=b"").decode().strip()
    for reference in sorted(source.selection, key=lambda reference: reference.number):
        try:
            if reference.head is None or reference.head not in reader:
                yield reference
                continue
            said = reference.fork if reference.fork and reference.fork in reader else None
            base = said or fork_point(reader, reference, source.trunk, merge_parent(reader, reference))
            head = reference.head
            if reference.is_late:
                head = head_at(reader, base, head, seconds_of(source.until))
                base = str(reader.merge_base(base, head) or base) if base else None
            trees = (_tree(reader, base) if base else empty, _tree(reader, head))
            own_commits(reader, base, head)
        except GitError as error:
            yield Unreadable(reference, str(error))
            continue
        shown = reference.model_copy(update={"head": head})
        yield Comparison(shown, trees, base, merged.get(reference.number) if reference.merge else None)


def merge_parent(reader: Any, reference: PullReference) -> str | None:
    """First parent of the commit that merged a pull request: the base branch just before."""
    if reference.merge is None or reference.merge not in reader:
        return None
    parents = reader[reference.merge].parent_ids
    return str(parents[0]) if parents else None


@step("harvest/pulls", VERSION)
def pulls(run: StepRun, source: ResolvedPulls) -> None:
    """Writes the documents of the selected pull requests."""
    if len(source.selection) != source.count:
        raise SourceError("harvest/pulls: the selection of pull requests is made by resolve; run the flow again")
    repository = open_source(source.location, run.store)
    found = list(comparisons(repository, source))
    with DiffCache(run.cache("diffs"), repository) as diffs:
        compared = diffs.missing([item.trees for item in found if isinstance(item, Comparison)])
        size = survey(repository, compared)
        compared = [trees for trees in compared if trees not in size.too_many]
        fetched = fetch_blobs(repository, source.remote, run.store, size.blobs)
        diffs.fill(compared, repository.larger(size.blobs, MAX_PATCHED_BYTES))
        threads = Threads(run, source)
        threads.read()
        run.write(_documents(run, source, repository, found, threads, diffs, size.too_many))
    work = {"compared": len(compared), "threads_fetched": threads.fetched, "requests": threads.requests}
    run.ledger("harvest", blobs_fetched=fetched, **work)


def _documents(
    run: StepRun,
    source: ResolvedPulls,
    repository: Repository,
    found: Sequence[Comparison | Unreadable | PullReference],
    threads: Threads,
    diffs: DiffCache,
    too_many: Collection[Trees],
) -> Iterator[Document]:
    """The documents, and verdicts for what is left out of them."""
    reader = object_reader(repository)
    for item in found:
        if isinstance(item, Comparison):
            identifier = pull_id(source, item.reference)
            changes = [] if item.trees in too_many else diffs.changes(item.trees)
            if item.trees in too_many:
                run.verdict(identifier, "too-many-files", f"more than {MAX_CHANGED_FILES}")
            for change in changes:
                if change.left_out:
                    run.verdict(f"{identifier}#{change.path}", f"patch-{change.left_out}")
            own = own_commits(reader, item.base, item.reference.head or "")
            for commit in own:
                if commit.cut:
                    run.verdict(f"{identifier}#{commit.sha}", "message-too-large", f"{commit.cut} bytes")
            commits = [{"sha": commit.sha, "message": commit.message.rstrip("\n")} for commit in own]
            thread = threads.of(item.reference) if threads.on_forge else thread_of_git(item, own)
            made, halves = document(source, item.reference, thread, commits, [change.meta() for change in changes])
        elif isinstance(item, Unreadable):
            run.verdict(pull_id(source, item.reference), "unreadable-commit", item.why)
            continue
        elif threads.on_forge:
            run.count("diffs_by_rest")
            made, halves = document(source, item, threads.of(item), threads.commits(item), threads.files(item))
        else:
            run.verdict(pull_id(source, item), "absent-head", item.head or "")
            continue
        if halves:
            run.count("half_characters", halves)
        yield made


def document(
    source: ResolvedPulls, reference: PullReference, thread: Item, commits: list[Item], files: list[Item]
) -> tuple[Document, int]:
    """The document of a pull request, and how many half surrogate pairs were replaced in it."""
    (thread, commits, files), halves = whole([thread, commits, files])
    first = {"number": reference.number, "state": thread["state"], "merged_at": thread["merged_at"]}
    kept = {name: thread[name] for name in thread if name not in _OUTSIDE_META and name not in first}
    made = Document(
        id=pull_id(source, reference),
        kind=Kind.PULL,
        repo=source.repo,
        revision=reference.head or "",
        path=str(reference.number),
        title=thread["title"],
        url=thread["url"],
        text=thread["body"],
        created_at=thread["created_at"],
        updated_at=thread["updated_at"],
        meta=first | kept | {"commits": commits, "files": files},
    )
    return made, halves


def pull_id(source: ResolvedPulls, reference: PullReference) -> str:
    """The id of a pull request's document; ids sort by number."""
    return f"{source.repo}/pull/{reference.number:07d}"


_MERGES: Final = re.compile(r"Merge (?:branch|branches|commit|remote-tracking branch|tag|pull request) ")
"""What git itself says of a merge into the branch."""
_OUTSIDE_META: Final = frozenset({"title", "url", "body", "created_at", "updated_at"})


def thread_of_git(item: Comparison, commits: Sequence[Commit]) -> Item:
    """What git alone knows of a pull request, in the shape of a thread."""
    title, body = _words(item, commits)
    return {
        "title": title,
        "body": body,
        "url": None,
        "created_at": None,
        "updated_at": None,
        "state": "closed" if item.merge else "unknown",
        "merged_at": rfc3339(item.merge.committed) if item.merge else None,
        "author": commits[0].author if commits else None,
        "labels": [],
        "comments": [],
        "reviews": [],
        "review_comments": [],
    }


def _words(item: Comparison, commits: Sequence[Commit]) -> tuple[str, str]:
    """Title and description: the merge commit's, else those of the commits, the first of which gives the title."""
    said = [commit.message.strip("\n") for commit in commits]
    first, *others = [message for message in said if not _MERGES.match(message)] or said[:1] or [""]
    subject, _, body = first.partition("\n")
    title = (item.merge.title if item.merge else "") or subject or f"Pull request {item.reference.number}"
    if item.merge and item.merge.body:
        return title, item.merge.body
    told = [first if subject != title else body, *others]
    return title, "\n\n".join(part.strip("\n") for part in told if part.strip())


def _tree(reader: Any, commit: str) -> str:
    return str(reader[commit].tree_id)
