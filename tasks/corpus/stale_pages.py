"""corpus/stale-pages: pages that name paths, symbols and pages which the snapshot no longer has.

A fine-tuned model answers from a stale wiki page as if it were current, the article's main complaint about its own
result. Each reference of a page is looked up in the snapshot it is trained with. A page of which too large a share is
gone is stale, and is reported, dated, down-weighted or dropped.

What a snapshot lacks need not be gone: pages name files that their readers shall write, and other projects'
functions. Gone is a link that leads nowhere, a path that earlier commits had, and a symbol that a harvested pull
request removed or after which a removed file was named. Of anything else nothing is known, and it does not count. Pages
that tell what changed, such as changelogs, name what is gone on purpose and are not judged.

In: documents (redacted) and the snapshots, which tell what files there are and were, trained on or not.
Out: the documents, stale pages dropped or dated if asked, and `pages.jsonl` with what was found about every page; if
stale pages are to be down-weighted, `weights.jsonl`, which the mixture reads.
Wiki pages and Markdown files are pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tasks.base.artifacts import Artifact
from tasks.base.records import REMOVED, Document, Kind, Record, Weight
from tasks.base.runs import StepRun, read_verdicts
from tasks.base.steps import step
from tasks.corpus.params import StaleParams
from tasks.corpus.references import Reference, ReferenceKind, all_tails, find_references, page_name, path_exists
from tasks.text.languages import is_markdown, language_of
from tasks.text.patches import patches, removed_names

VERSION: Final = "2026.12.01"
PAGES: Final = "pages.jsonl"
WEIGHTS: Final = "weights.jsonl"
SCRIPTS: Final = frozenset({"javascript", "tsx", "typescript"})
_MIXED_CASE: Final = re.compile(r"[a-z0-9][A-Z]")
_HISTORY: Final = re.compile(
    r"(?:^|/)(?:[^/]*change-?s?-?log[^/]*|[^/]*changes|history|news|[^/]*release-?s?(?:[-_ ]?notes?)?"
    r"|whats?[-_ ]?new[^/]*|[^/]*upgrad(?:e|ing)[^/]*|[^/]*migrat(?:e|ing|ion)s?[^/]*|[^/]*deprecat[^/]*"
    r"|cran-comments|authors|contributors)\.\w{1,10}$"
    r"|(?:^|/)(?:change-?logs?|releases?|revdep|migrations?|news|_posts|blog|adrs?|decisions)/"
    r"|(?:^|/)(?:\d{4}-\d{2}-\d{2}-|v?\d+\.[\dx.]+)[^/]*$",
    re.IGNORECASE,
)
"""Pages that tell what changed, or what was so on a day."""
MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


class PageReport(Record):
    """What a page names and what became of it."""

    id: str
    references: int
    """What it names that is there or is known to have been there."""
    gone: tuple[str, ...]
    """`kind name` of what the snapshot does not have."""
    changed_since: int
    """Files it names that a harvested pull request changed after the page's last change."""
    updated_at: str | None
    stale: bool


class Surroundings:
    """What a snapshot has, as far as pages ask for it. Streams over the files; only names stay in memory."""

    def __init__(self, wanted: Iterable[Reference]) -> None:
        self.paths: set[str] = set()
        self.pages: set[str] = set()
        self.removed: set[str] = set()
        """Files that there were, by their whole paths: a guide's `app/models/article.rb` is a file of its reader's."""
        self.has_wiki = False
        """Without a wiki a link to one of its pages says nothing."""
        self.words: set[str] = set()
        self.removed_words: set[str] = set()
        """Symbols that code no longer defines since a harvested pull request, and stems of removed files."""
        self.changed: dict[str, str] = {}
        """Last merge that touched a path, RFC 3339."""
        wanted = list(wanted)
        self._symbols = {reference.name for reference in wanted if reference.kind is ReferenceKind.SYMBOL}
        self._tails: set[str] | None = None

    def add_path(self, path: str) -> None:
        """Notes that a file exists, whether or not it is a document."""
        parts = path.split("/")
        self.paths.update("/".join(parts[:end]) for end in range(1, len(parts) + 1))
        self.pages.update(map(page_name, parts))
        self._tails = None

    def add_removed(self, path: str) -> None:
        """Notes that a file existed in earlier commits."""
        parts = path.split("/")
        self.removed.add(path)
        stem = parts[-1].partition(".")[0]
        if _MIXED_CASE.search(stem):  # `OldRouter.scala` is what defined `OldRouter`; `run_test.go` is no `run_test`
            self.removed_words.update({stem} & self._symbols)

    def add(self, document: Document) -> None:
        """Notes what a document shows to exist; pages do not vouch for what pages name."""
        if document.kind is Kind.PULL:
            merged = document.meta.get("merged_at") or ""
            for file in document.meta.get("files") or ():
                self.changed[file["path"]] = max(merged, self.changed.get(file["path"], ""))
            if merged:
                self.removed_words.update(self._symbols & _undefined(document))
            return
        if document.kind is Kind.WIKI:
            self.pages.add(page_name(document.path))
            self.has_wiki = True
            return
        if document.kind != Kind.FILE:
            return
        self.add_path(document.path)
        if is_markdown(document.path):
            self.pages.add(page_name(document.path))
            return
        self.words.update(_named(self._symbols - self.words, document.text))

    def is_gone(self, reference: Reference, page: Document) -> bool:
        """Whether what is named and not there was there once, as far as can be known."""
        if reference.kind is ReferenceKind.PAGE:
            return True
        if reference.kind is ReferenceKind.SYMBOL:
            return reference.name in self.removed_words
        folder = page.path.rpartition("/")[0] if page.kind is Kind.FILE else ""
        beside = f"{folder}/{reference.name}" if folder else reference.name
        if reference.is_link or "/" in reference.name:
            parts = folder.split("/") if folder else []
            known = {"/".join([*parts[:depth], reference.name]) for depth in range(len(parts) + 1)} & self.removed
            first = reference.name.partition("/")[0]
            is_likely = not self.removed and "/" in reference.name and first in self.paths
            return reference.is_link or bool(known) or is_likely
        return beside in self.removed or (not self.removed and reference.name in self.removed_words)

    def has(self, reference: Reference) -> bool:
        """Whether what is named exists."""
        if reference.kind is ReferenceKind.PATH:
            if self._tails is None:
                self._tails = all_tails(self.paths)
            return path_exists(reference.name, self.paths, self._tails)
        if reference.kind is ReferenceKind.PAGE:
            return not self.has_wiki or reference.name in self.pages
        return reference.name in self.words


def _undefined(pull: Document) -> set[str]:
    """Names that the code of a pull request defines no more, tests left out; pages and settings name others' things.

    A constant of a script that exports it not is its own, and pages that have the name mean another.
    """
    found = patches(pull.meta.get("files") or ())
    own = {
        name
        for patch in found
        if language_of(patch.path) in SCRIPTS
        for name in patch.removed
        if re.search(rf"^-const {re.escape(name)}\b", patch.text, re.MULTILINE)
    }
    return {*removed_names(found)} - own


def _named(symbols: Iterable[str], text: str) -> set[str]:
    """Those of the symbols that a text has as whole words."""
    candidates = [name for name in symbols if name in text]
    return {name for name in candidates if re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text)}


def is_page(document: Document) -> bool:
    """Whether a document is prose that can go stale."""
    return document.kind is Kind.WIKI or (document.kind is Kind.FILE and is_markdown(document.path))


def references_of(page: Document) -> list[Reference]:
    """What a page names; a wiki's links are read as a wiki's."""
    return find_references(page.text, page.repo, in_wiki=page.kind is Kind.WIKI)


def judge_page(page: Document, around: Surroundings, params: StaleParams) -> PageReport:
    """Looks up what a page names."""
    references = [] if _HISTORY.search(page.path) else references_of(page)
    present = [reference for reference in references if around.has(reference)]
    gone = [item for item in references if item not in present and around.is_gone(item, page)]
    changed = 0
    if page.updated_at:
        named = {reference.name for reference in references if reference.kind is ReferenceKind.PATH}
        changed = sum(
            merged > page.updated_at
            for path, merged in around.changed.items()
            if path in named or any(path.endswith(f"/{name}") for name in named)
        )
    return PageReport(
        id=page.id,
        references=len(present) + len(gone),
        gone=tuple(f"{reference.kind} {reference.name}" for reference in gone),
        changed_since=changed,
        updated_at=page.updated_at,
        stale=len(gone) >= params.names and len(gone) >= params.fraction * len(references),
    )


def dated(page: Document) -> Document:
    """A stale page that says so in its first line, so that rows, questions and answers made from it do too."""
    when = "an unknown date"
    if page.updated_at:
        when = f"{MONTHS[int(page.updated_at[5:7]) - 1]} {page.updated_at[:4]}"
    return page.model_copy(
        update={"text": f"As of {when}, since when parts of it have become outdated:\n\n{page.text}"}
    )


@step("corpus/stale-pages", VERSION)
def stale_pages(run: StepRun, documents: Artifact, snapshots: list[Artifact], params: StaleParams) -> None:
    """Writes the documents and what was found about each page."""
    pages = [document for document in run.read(documents, Document) if is_page(document)]
    around: dict[str, Surroundings] = {}
    for repo in sorted({page.repo for page in pages}):
        around[repo] = Surroundings(
            reference for page in pages if page.repo == repo for reference in references_of(page)
        )
    for snapshot in snapshots:
        verdicts = (verdict.id for verdict in read_verdicts(run.store, snapshot))
        repo = ""
        for identifier in (*(record["id"] for record in run.read_raw(snapshot)), *verdicts):
            repo, mark, path = identifier.partition("/file/")
            if mark and repo in around:
                around[repo].add_path(path)
        for record in run.read_raw(snapshot, REMOVED) if repo in around else ():
            around[repo].add_removed(record["id"])
    for document in run.read(documents, Document):
        if document.repo in around:
            around[document.repo].add(document)
    reports = {page.id: judge_page(page, around[page.repo], params) for page in pages}

    def kept() -> Iterator[Document]:
        for document in run.read(documents, Document):
            report = reports.get(document.id)
            if report is None or not report.stale:
                yield document
                continue
            run.verdict(
                document.id, f"stale-page-{params.pages}", f"{len(report.gone)} of {report.references} are gone"
            )
            if params.pages != "drop":
                yield dated(document) if params.pages == "date" else document

    run.write(kept())
    run.write((reports[page.id] for page in pages), PAGES)
    if params.pages == "weight":
        stale = (page.id for page in pages if reports[page.id].stale)
        run.write((Weight(id=identifier, weight=params.weight) for identifier in stale), WEIGHTS)
