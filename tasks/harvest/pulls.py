"""harvest/pulls: each selected pull request becomes one document with its thread and its changes.

In: the selection that `resolve` made. Out: `records.jsonl` of documents, kind `pull`, sorted by id. A document's text
is the description; `meta` has number, state, merged_at, author, labels, commits (sha, message), comments, reviews,
review_comments and files (path, status, previous_path, patch).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tasks.base.errors import SourceError
from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.harvest.dates import rfc3339
from tasks.harvest.diffs import Change, changed_files
from tasks.harvest.history import Commit, Merge, fork_point, merges, own_commits
from tasks.harvest.mirror import open_source
from tasks.harvest.params import PullReference, ResolvedPulls
from tasks.harvest.repository import Repository

VERSION: Final = "2026.11.24"


def pulls_from_git(repository: Repository, source: ResolvedPulls) -> Iterator[Document]:
    """Documents of the selected pull requests as git alone knows them, by ascending number."""
    from pygit2 import Repository as ObjectReader

    assert source.trunk is not None
    reader = ObjectReader(str(repository.folder))
    merged = merges(repository, source.trunk)
    references = sorted(source.selection, key=lambda reference: reference.number)
    bases = []
    for reference in references:
        merge = merged.get(reference.number) if reference.merge else None
        bases.append(fork_point(reader, reference, source.trunk, merge.parents[0] if merge and merge.parents else None))
    empty = repository.run("hash-object", "-t", "tree", "--stdin", stdin=b"").decode().strip()
    trees = [
        (_tree(reader, base) if base else empty, _tree(reader, reference.head))
        for reference, base in zip(references, bases, strict=True)
    ]
    for reference, base, changes in zip(references, bases, changed_files(repository, trees), strict=True):
        assert reference.head is not None
        commits = own_commits(reader, base, reference.head)
        yield _document(source, reference, merged.get(reference.number), commits, changes)


@step("harvest/pulls", VERSION, retries=2)
def pulls(run: StepRun, source: ResolvedPulls) -> None:
    """Writes the documents of the selected pull requests."""
    if len(source.selection) != source.count:
        raise SourceError("harvest/pulls: the selection of pull requests is made by resolve; run the flow again")
    if not source.selection or source.location is None:
        run.write([])
        return
    run.write(pulls_from_git(open_source(source.location, run.store), source))


def _document(
    source: ResolvedPulls, reference: PullReference, merge: Merge | None, commits: list[Commit], changes: list[Change]
) -> Document:
    first = commits[0] if commits else None
    title, text = _words(reference, merge, commits)
    meta: dict[str, Any] = {
        "number": reference.number,
        "state": "closed" if merge else "unknown",
        "merged_at": rfc3339(merge.committed) if merge else None,
        "author": first.author if first else None,
        "labels": [],
        "commits": [{"sha": commit.sha, "message": commit.message} for commit in commits],
        "comments": [],
        "reviews": [],
        "review_comments": [],
        "files": [change.meta() for change in changes],
    }
    return Document(
        id=f"{source.repo}/pull/{reference.number:07d}",
        kind=Kind.PULL,
        repo=source.repo,
        revision=reference.head or "",
        path=str(reference.number),
        title=title,
        url=f"{source.web_url}/pull/{reference.number}" if source.web_url else None,
        text=text,
        created_at=None,
        updated_at=None,
        meta=meta,
    )


def _words(reference: PullReference, merge: Merge | None, commits: list[Commit]) -> tuple[str, str]:
    """Title and description: the merge commit's, else those of the only commit, else the first commit's subject."""
    if merge is not None:
        return merge.title, merge.body
    if not commits:
        return f"Pull request {reference.number}", ""
    subject, _, body = commits[0].message.partition("\n")
    return subject, body.strip("\n") if len(commits) == 1 else ""


def _tree(reader: Any, commit: str | None) -> str:
    return str(reader[commit].tree_id)
