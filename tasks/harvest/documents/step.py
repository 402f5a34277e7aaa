"""harvest/documents: every document of a folder beside the repository.

In: the folder's tree. Out: `records.jsonl` of documents, kind `document`, sorted by id, texts as Markdown. A thread of
messages is one document. A verdict for every file and message that is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.harvest.dates import rfc3339
from tasks.harvest.documents import conversations as talk
from tasks.harvest.documents.convert import Unreadable, extension, markdown_of
from tasks.harvest.git.mirror import fetch_blobs, open_source
from tasks.harvest.git.repository import Entry, Repository, TreeTooLargeError
from tasks.harvest.params import ResolvedDocuments
from tasks.harvest.snapshot import Dropped

VERSION: Final = "2026.11.30.3"

MAX_FILES: Final = 100_000
"""A folder with more is not read."""


def read_documents(repository: Repository, source: ResolvedDocuments) -> Iterator[Document | Dropped]:
    """Every file, in order of the ids, as documents or as the reasons why it is none."""
    entries = sorted(repository.entries(source.revision, MAX_FILES), key=_order)
    wanted = [entry for entry in entries if _reason(entry, source) is None]
    contents = repository.blobs([entry.object_id for entry in wanted])
    for entry in entries:
        reason = _reason(entry, source)
        if reason is not None:
            yield Dropped(entry.path, reason, f"{entry.bytes} bytes" if reason == "too-large" else "")
            continue
        data = next(contents)
        if data is None:
            yield Dropped(entry.path, "absent-blob", "")
        elif extension(entry.path) in talk.EXTENSIONS:
            yield from _conversations(entry, data, source)
        else:
            try:
                yield _page(entry, markdown_of(entry.path, data), source)
            except Unreadable as why:
                yield Dropped(entry.path, *why.args)


@step("harvest/documents", VERSION)
def documents_beside(run: StepRun, source: ResolvedDocuments) -> None:
    """Writes the documents of a folder."""
    repository = open_source(source.location, run.store)
    try:
        entries = repository.entries(source.revision, MAX_FILES)
    except TreeTooLargeError as error:
        run.verdict(f"{source.repo}/document", "too-many-files", str(error))
        run.write([])
        return
    fetch_blobs(repository, source.remote, run.store, [one.object_id for one in entries if not _reason(one, source)])

    def found() -> Iterator[Document]:
        for one in read_documents(repository, source):
            if isinstance(one, Document):
                run.count(f"format:{one.meta['format']}")
                yield one
            else:
                note = run.quarantine if one.reason == "absent-blob" else run.verdict
                note(f"{source.repo}/document/{one.path}", one.reason, one.detail)

    run.write(found())


def _order(entry: Entry) -> str:
    """As the ids of what a file gives ascend."""
    return f"{entry.path}#" if extension(entry.path) in talk.EXTENSIONS else entry.path


def _reason(entry: Entry, source: ResolvedDocuments) -> str | None:
    if entry.mode in ("120000", "160000"):
        return "symlink" if entry.mode == "120000" else "submodule"
    return "too-large" if (entry.bytes or 0) > source.max_bytes else None


def _conversations(entry: Entry, data: bytes, source: ResolvedDocuments) -> Iterator[Document | Dropped]:
    said: list[talk.Entry] = []
    for one in talk.entries_of(extension(entry.path), data):
        if isinstance(one, talk.Bad):
            yield Dropped(f"{entry.path}#{one.place}", one.reason, one.detail)
        else:
            said.append(one)
    for thread in talk.conversations(said, source.until, source.people == "hide"):
        path = f"{entry.path}#{thread.thread}"
        made = _document(entry, path, thread.title, thread.text, source)
        yield made.model_copy(
            update={
                "url": thread.url,
                "created_at": rfc3339(thread.first) if thread.first is not None else None,
                "updated_at": rfc3339(thread.last) if thread.last is not None else None,
                "meta": made.meta | {"entries": thread.entries},
            }
        )


def _page(entry: Entry, text: str, source: ResolvedDocuments) -> Document:
    stem = entry.path.rsplit("/", 1)[-1].rpartition(".")[0]
    return _document(entry, entry.path, stem.replace("-", " ").replace("_", " "), text, source)


def _document(entry: Entry, path: str, title: str, text: str, source: ResolvedDocuments) -> Document:
    return Document(
        id=f"{source.repo}/{Kind.DOCUMENT}/{path}",
        kind=Kind.DOCUMENT,
        repo=source.repo,
        revision=source.revision,
        path=path,
        title=title,
        url=f"{source.base_url}/{quote(entry.path)}" if source.base_url else None,
        text=text,
        created_at=None,
        updated_at=None,
        meta={"format": extension(entry.path), "blob": entry.object_id},
    )
