"""harvest/wiki: every page of the wiki becomes a document.

In: the wiki's commit, or none (then no records). Out: `records.jsonl` of documents, kind `wiki`, sorted by id, texts as
Markdown, whatever the markup in `meta.format` (in a fence as they were written, `meta.as_written`, where it cannot be
read); `created_at` and `updated_at` are the dates of a page's first and last
edit. A verdict for every other file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.harvest.dates import rfc3339
from tasks.harvest.decoding import decode
from tasks.harvest.git.diffs import changed_entries
from tasks.harvest.git.mirror import fetch_blobs, open_source
from tasks.harvest.git.objects import object_reader
from tasks.harvest.git.paths import display_path
from tasks.harvest.git.repository import Entry, Repository, TreeTooLargeError
from tasks.harvest.params import ResolvedWiki
from tasks.harvest.snapshot import Dropped
from tasks.harvest.wiki.markup import as_markdown, as_written

VERSION: Final = "2026.11.30.4"

MARKUPS: Final = {
    "md": "markdown", "markdown": "markdown", "mdown": "markdown", "mkdn": "markdown", "mkd": "markdown",
    "asciidoc": "asciidoc", "adoc": "asciidoc", "asc": "asciidoc",
    "rst": "rst", "rest": "rst",
    "mediawiki": "mediawiki", "wiki": "mediawiki",
    "org": "org", "textile": "textile", "creole": "creole", "rdoc": "rdoc", "pod": "pod", "txt": "text",
}  # fmt: skip
"""Page formats by extension: those of GitHub's wikis (github/markup), and plain text for pages copied by hand."""

NAVIGATION: Final = frozenset({"_sidebar", "_footer", "_header"})
"""Parts shown around every page of a wiki."""


WIKI: Final = {"github": "wiki", "gitlab": "-/wikis", "gitea": "wiki"}
"""Where a forge shows a wiki's pages, below the repository's address; GitHub shows them without their folders."""

MAX_PAGES: Final = 100_000
"""Files; a wiki with more is not read, since anybody may write into some wikis."""
MAX_PAGE_BYTES: Final = 1_000_000
"""Larger pages are left out unread."""


def page_dates(repository: Repository, revision: str) -> dict[str, tuple[int, int]]:
    """Dates of each path's first and last change on the first-parent line, in seconds since 1970; empty for a tree.

    A commit that changes more files than `MAX_PAGES` dates none of them.
    """
    if repository.run("cat-file", "-t", revisions=[revision]).strip() == b"tree":
        return {}
    reader = object_reader(repository)
    line = repository.run("rev-list", "--first-parent", "--reverse", revisions=[revision]).decode().split()
    dates: dict[str, tuple[int, int]] = {}
    before = None
    for sha in line:
        commit: Any = reader[sha]
        committed, tree = max(commit.commit_time, 0), str(commit.tree_id)
        paths = [path for path, blob in islice(changed_entries(reader, before, tree), MAX_PAGES + 1) if blob]
        for path in map(display_path, paths if len(paths) <= MAX_PAGES else ()):
            dates[path] = (dates.get(path, (committed, 0))[0], committed)
        before = tree
    return dates


def read_pages(repository: Repository, source: ResolvedWiki) -> Iterator[Document | Dropped]:
    """Every file of the wiki's tree, in order of path, as a document or as the reason why it is none."""
    assert source.revision is not None
    dates = page_dates(repository, source.revision)
    entries = repository.entries(source.revision, MAX_PAGES)
    pages = [entry for entry in entries if _reason(entry) is None]
    contents = repository.blobs([entry.object_id for entry in pages])
    for entry in entries:
        reason = _reason(entry)
        if reason is not None:
            yield Dropped(entry.path, reason, f"{entry.bytes} bytes" if reason == "too-large" else "")
            continue
        data = next(contents)
        decoded = decode(data) if data is not None else None
        if data is None or decoded is None:
            yield Dropped(entry.path, "absent-blob" if data is None else "binary", "")
        elif not decoded.text.strip():
            yield Dropped(entry.path, "empty", "")
        else:
            text = as_markdown(decoded.text, _markup(entry))
            made = _document(entry, text or as_written(decoded.text, _markup(entry)), source, dates.get(entry.path))
            yield made if text else made.model_copy(update={"meta": made.meta | {"as_written": True}})


@step("harvest/wiki", VERSION)
def wiki(run: StepRun, source: ResolvedWiki) -> None:
    """Writes the documents of the wiki's pages; none where there is no wiki."""
    if source.revision is None or source.location is None:
        run.write([])
        return
    repository = open_source(source.location, run.store)
    try:
        entries = repository.entries(source.revision, MAX_PAGES)
    except TreeTooLargeError as error:
        run.verdict(f"{source.repo}/wiki", "too-many-files", str(error))
        run.write([])
        return
    pages = [entry.object_id for entry in entries if _reason(entry) is None]
    fetch_blobs(repository, source.remote, run.store, pages)

    def documents() -> Iterator[Document]:
        for found in read_pages(repository, source):
            if isinstance(found, Document):
                if "as_written" in found.meta:
                    run.count("as_written")
                yield found
            else:
                note = run.quarantine if found.reason == "absent-blob" else run.verdict
                note(f"{source.repo}/wiki/{found.path}", found.reason, found.detail)

    run.write(documents())


def _reason(entry: Entry) -> str | None:
    name = entry.path.rsplit("/", 1)[-1]
    stem, _, extension = name.rpartition(".")
    if entry.mode in ("120000", "160000"):
        return "symlink" if entry.mode == "120000" else "submodule"
    if extension.lower() not in MARKUPS:
        return "not-a-page"
    if stem.lower() in NAVIGATION:
        return "navigation"
    return "too-large" if (entry.bytes or 0) > MAX_PAGE_BYTES else None


def _markup(entry: Entry) -> str:
    return MARKUPS[entry.path.rpartition(".")[2].lower()]


def _document(entry: Entry, text: str, source: ResolvedWiki, dates: tuple[int, int] | None) -> Document:
    name = entry.path.rsplit("/", 1)[-1]
    stem = name.rpartition(".")[0]
    shown, safe = (stem, "") if source.forge == "github" else (entry.path.rpartition(".")[0], "/")
    return Document(
        id=f"{source.repo}/wiki/{entry.path}",
        kind=Kind.WIKI,
        repo=source.repo,
        revision=source.revision or "",
        path=entry.path,
        title=stem.replace("-", " "),
        url=f"{source.web_url}/{WIKI[source.forge]}/{quote(shown, safe=safe)}" if source.web_url else None,
        text=text,
        created_at=rfc3339(dates[0]) if dates else None,
        updated_at=rfc3339(dates[1]) if dates else None,
        meta={"format": _markup(entry), "blob": entry.object_id},
    )
