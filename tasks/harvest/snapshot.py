"""harvest/snapshot: every file of a commit becomes a document or a verdict, without a checkout.

In: a resolved commit. Out: `records.jsonl` of documents, kind `file`, sorted by id; a verdict for each other entry of
`git ls-tree -r`; `removed.jsonl` with the paths that earlier commits had and this one has not. One `ls-tree` and one
`cat-file --batch` process; one blob in memory at a time. Blobs that an earlier run read come from the cache.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from tasks.base.records import REMOVED, Document, Kind, RemovedPath
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.harvest.decoding import LFS_POINTER, decode, is_binary
from tasks.harvest.git.blob_cache import BlobCache, Contents
from tasks.harvest.git.command import git
from tasks.harvest.git.mirror import fetch_blobs, open_source
from tasks.harvest.git.repository import Entry, Repository
from tasks.harvest.notebooks import notebook_text
from tasks.harvest.params import ResolvedSnapshot, SnapshotParams

VERSION: Final = "2026.11.30.2"

FILES: Final = {"github": "blob", "gitlab": "-/blob", "gitea": "src/commit"}
"""Where a forge shows files, below the repository's address, with the commit after it."""

_UNREADABLE: Final = {"120000": "symlink", "160000": "submodule"}
_ATTRIBUTES: Final = ("generated", "vendored")
"""Of linguist's attributes, those that are read."""

MAX_NOTEBOOK_BYTES: Final = 50_000_000
"""Notebooks are judged by the size of their cells; of larger ones not even these are read."""
PROGRESS_FILES: Final = 500

Stated = dict[str, bool]
"""What `.gitattributes` say of one file, where they say anything: whether it is `generated` or `vendored`."""


class Dropped(NamedTuple):
    """Why an entry is no document."""

    path: str
    reason: str
    detail: str


def linguist_attributes(repository: Repository, revision: str, entries: Sequence[Entry]) -> dict[bytes, Stated]:
    """What the commit's own `.gitattributes` files say, by path; empty where it has none.

    Goes through a temporary index, because `git check-attr --source` needs git 2.40.
    """
    if not any(entry.path.rsplit("/", 1)[-1] == ".gitattributes" for entry in entries):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", at=repository.folder, revisions=[revision], environment=index)
        names = b"".join(entry.raw_path + b"\0" for entry in entries)
        check = ("check-attr", "--cached", "-z", "--stdin", *(f"linguist-{name}" for name in _ATTRIBUTES))
        answer = git(*check, at=repository.folder, stdin=names, environment=index)
    fields = answer.split(b"\0")[:-1]
    values: dict[bytes, Stated] = {}
    for path, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        if value != b"unspecified":
            name = attribute.decode().removeprefix("linguist-")
            values.setdefault(path, {})[name] = value not in (b"unset", b"false")
    return values


def read_files(
    repository: Repository, source: ResolvedSnapshot, params: SnapshotParams, blobs: Contents | None = None
) -> Iterator[Document | Dropped]:
    """Every entry of the tree, in order of path, as a document or as the reason why it is none.

    Args:
        repository: has the tree.
        source: which commit.
        params: which files.
        blobs: reads contents; by default from the repository.
    """
    entries = repository.entries(source.revision)
    stated = linguist_attributes(repository, source.revision, entries)
    unread = [_unread(entry, params) for entry in entries]
    read = blobs or repository.blobs
    contents = read([entry.object_id for entry, drop in zip(entries, unread, strict=True) if drop is None])
    for entry, drop in zip(entries, unread, strict=True):
        yield drop or _read(entry, next(contents), source, params, stated.get(entry.raw_path, {}))


@step("harvest/snapshot", VERSION)
def snapshot(run: StepRun, source: ResolvedSnapshot, params: SnapshotParams) -> None:
    """Writes the documents of one commit and a verdict for everything else in its tree."""
    repository = open_source(source.location, run.store)
    asked = {"blobs_fetched": 0}
    if source.remote is not None:
        entries = repository.entries(source.revision)
        wanted = [entry.object_id for entry in entries if entry.mode not in _UNREADABLE]
        asked["blobs_fetched"] = fetch_blobs(repository, source.remote, run.store, wanted)
    cache = BlobCache(run.cache("blobs"), repository)

    def documents() -> Iterator[Document]:
        for number, found in enumerate(read_files(repository, source, params, cache.blobs)):
            if number % PROGRESS_FILES == 0:
                run.progress(number, unit="files")
            if isinstance(found, Document):
                for oddity in _oddities(found):
                    run.count(oddity)
                yield found
            else:
                note = run.quarantine if found.reason == "absent-blob" else run.verdict
                note(f"{source.repo}/file/{found.path}", found.reason, found.detail)

    run.write(documents())
    there = {entry.path for entry in repository.entries(source.revision)}
    removed = sorted(repository.removed_paths(source.revision) - there)
    with run.path(REMOVED).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{RemovedPath(id=path).line()}\n" for path in removed)
    run.ledger("harvest", blobs_read=cache.blobs_read, **asked)


def _unread(entry: Entry, params: SnapshotParams) -> Dropped | None:
    if reason := _UNREADABLE.get(entry.mode):
        return Dropped(entry.path, reason, entry.object_id)
    if entry.bytes is None:
        return Dropped(entry.path, "absent-blob", entry.object_id)
    if entry.bytes == 0:
        return Dropped(entry.path, "empty", "")
    if entry.bytes > (MAX_NOTEBOOK_BYTES if _is_notebook(entry) else params.max_bytes):
        return Dropped(entry.path, "too-large", f"{entry.bytes} bytes")
    return None


def _read(
    entry: Entry, data: bytes | None, source: ResolvedSnapshot, params: SnapshotParams, stated: Stated
) -> Document | Dropped:
    if data is None:
        return Dropped(entry.path, "absent-blob", entry.object_id)
    if data.startswith(LFS_POINTER):
        return Dropped(entry.path, "lfs-pointer", "")
    decoded = decode(data)
    if decoded is None:
        reason = "binary" if is_binary(data) else "unknown-encoding"
        return Dropped(entry.path, reason, f"{len(data)} bytes")
    text = decoded.text
    if _is_notebook(entry):
        cells = notebook_text(text)
        if cells is None:
            return Dropped(entry.path, "broken-notebook", f"{len(data)} bytes")
        text, size = cells, len(cells.encode())
        if size > params.max_bytes or not text.strip():
            return Dropped(entry.path, "too-large" if text.strip() else "empty", f"{size} bytes of cells")
    meta: dict[str, Any] = {"committed_at": source.committed_at, "blob": entry.object_id, "bytes": len(data)}
    if stated:
        meta["linguist"] = stated
    if decoded.encoding != "utf-8":
        meta["encoding"] = decoded.encoding
    if decoded.mark:
        meta["byte_order_mark"] = True
    if decoded.stray:
        meta["stray_bytes"] = decoded.stray
    shown = f"{source.web_url}/{FILES[source.forge]}/{source.revision}/{quote(entry.raw_path)}"
    return Document(
        id=f"{source.repo}/file/{entry.path}",
        kind=Kind.FILE,
        repo=source.repo,
        revision=source.revision,
        path=entry.path,
        title=entry.path.rsplit("/", 1)[-1],
        url=shown if source.web_url else None,
        text=text,
        created_at=None,
        updated_at=None,
        meta=meta,
    )


def _is_notebook(entry: Entry) -> bool:
    return entry.path.endswith(".ipynb")


def _oddities(document: Document) -> Iterator[str]:
    """What was unusual about a file's bytes, as names of counts; its text has line ends as they were."""
    if encoding := document.meta.get("encoding"):
        yield f"encoding:{encoding}"
    if document.meta.get("byte_order_mark"):
        yield "byte_order_mark"
    if document.meta.get("stray_bytes"):
        yield "stray_bytes"
    if "\r\n" in document.text:
        yield "crlf"
