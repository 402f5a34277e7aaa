"""corpus/filter: all sources merged, sorted by id, without what should not be trained on.

In: the documents of every source. Out: `records.jsonl` of documents. A dropped document is a verdict under its id. What
is dropped of a pull request that stays is a verdict under `<id>#<part>`: `diff-…` for a diff, `bot-…` and
`comment-empty` for what was said. `base64-cut` is a picture, font or public key within a text that stays. `documents` =
`records` + the other verdicts. Issues and discussions become one text each (`threads.py`), those of bots leave.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import NUMBERED, Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.corpus.conversation import Boilerplate, Left, cleaned, is_form, is_template, shown_by_form
from tasks.corpus.file_kinds import HEAD_CHARACTERS, generated_by, kind_of_file, without_base64
from tasks.corpus.params import BudgetParams, FileKind, FilterParams
from tasks.corpus.threads import as_conversation
from tasks.text.paths import generated_kind, kind_of_path, matches
from tasks.text.people import is_bot

VERSION: Final = "2026.11.30.5"

BYTES_PER_TOKEN: Final = 3.6
"""Of source code and prose in SmolLM2's tokenizer (3.64 over 10 MB of Python)."""

_FIRST_LINES: Final = re.compile(r"@@ -[01](?:,\d+)? \+[01](?:,\d+)? @@")
_LFS_POINTER: Final = re.compile(r"^[ +-]version https://git-lfs\.github\.com/spec/", re.MULTILINE)
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{400,}={0,2}(?![A-Za-z0-9+/])")
"""Longer than any key or hash: pictures, fonts, outputs of notebooks."""


_MADE: Final = frozenset({FileKind.GENERATED.value, FileKind.MINIFIED.value, FileKind.VENDORED.value})
"""Kinds of files that a program or somebody else wrote, diffs included."""
_SAYS: Final = ("files", "commits", "comments", "reviews", "review_comments")
"""A pull request with none of these, and no description, is a number and a title."""


TRACKED: Final = frozenset({Kind.ISSUE.value, Kind.DISCUSSION.value})
"""Kinds that a forge has as posts."""


class Drop(NamedTuple):
    """Why a document, or a diff in one, is left out."""

    reason: str
    detail: str = ""


def estimated_tokens(text: str) -> int:
    """Tokens of a text before its tokenizer is known."""
    return round(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def document_tokens(document: Document) -> int:
    """Estimated tokens of a document with everything that may be rendered of it."""
    meta = document.meta
    spoken = [
        f"{entry.get('hunk') or ''}{entry.get('body') or ''}"
        for part in ("comments", "reviews", "review_comments")
        for entry in meta.get(part) or ()
    ]
    diffs = [file.get("patch") or "" for file in meta.get("files") or ()]
    return sum(map(estimated_tokens, (document.title, document.text, *spoken, *diffs)))


def judge(document: Document, params: FilterParams) -> Drop | None:
    """Why a file or page is left out, or None."""
    if params.include and not matches(document.path, params.include):
        return Drop("not-included")
    if matches(document.path, params.exclude):
        return Drop("excluded")
    if document.kind is Kind.FILE and (found := kind_of_file(document, params)):
        return Drop(found.kind.value, found.by)
    if not document.text.strip():
        return Drop("empty")
    if params.max_line_characters is not None and len(document.text) > params.max_line_characters:
        longest = max(map(len, document.text.split("\n")))
        if longest > params.max_line_characters:
            return Drop("long-line", f"{longest} characters")
    if params.max_file_tokens is not None:
        tokens = estimated_tokens(document.text)
        if tokens > params.max_file_tokens:
            return Drop("too-large", f"about {tokens} tokens")
    return None


def filter_diffs(
    document: Document, params: FilterParams, made: Mapping[str, Drop] = MappingProxyType({})
) -> tuple[Document, list[tuple[str, Drop]]]:
    """A pull request without the diffs that are left out, and those with their reasons, in order.

    The list of changed files stays whole: only patches leave.

    Args:
        document: the pull request.
        params: what is left out.
        made: by path, files of the snapshot that a program wrote; a diff often does not show their heads.
    """
    kept: list[dict[str, Any]] = []
    dropped: list[tuple[str, Drop]] = []
    total = 0
    for file in document.meta.get("files") or ():
        drop = _judge_diff(file, params) or (made.get(file["path"]) if file.get("patch") else None)
        if drop is None:
            tokens = estimated_tokens(file.get("patch") or "")
            if params.max_pull_tokens is not None and total + tokens > params.max_pull_tokens:
                drop = Drop("diff-beyond-cap", f"about {tokens} tokens")
            else:
                total += tokens
        if drop is None:
            kept.append(file)
        else:
            kept.append(file | {"patch": None})
            dropped.append((file["path"], drop))
    return (document.model_copy(update={"meta": document.meta | {"files": kept}}) if dropped else document), dropped


def generated_marker(patch: str) -> str | None:
    """What marks the file of a diff as generated, where the diff shows the file's first lines."""
    if not _FIRST_LINES.match(patch):
        return None
    return generated_by("\n".join(line[1:] for line in patch[:HEAD_CHARACTERS].split("\n")[1:]))


def over_budget(sizes: Iterable[tuple[Document, int]], budgets: tuple[BudgetParams, ...]) -> set[str]:
    """Ids beyond the token budgets: per budget the newest pull requests, issues or discussions, or files and pages by
    hash of their id, are kept while they fit.
    """
    queues: dict[int, list[tuple[Any, str, int]]] = {}
    for document, tokens in sizes:
        budget = next((number for number, entry in enumerate(budgets) if _covers(entry, document)), None)
        if budget is not None:
            order = (
                -int(document.path) if document.kind in NUMBERED else int(sha256(document.id.encode()).hexdigest(), 16)
            )
            queues.setdefault(budget, []).append((order, document.id, tokens))
    beyond = set()
    for budget, queue in queues.items():
        left = budgets[budget].tokens
        for _, identifier, tokens in sorted(queue):
            if tokens <= left:
                left -= tokens
            else:
                beyond.add(identifier)
    return beyond


@step("corpus/filter", VERSION)
def filter_documents(run: StepRun, documents: list[Artifact], params: FilterParams) -> None:
    """Writes the documents that are kept, and a verdict for whatever is not.

    Raises:
        InputError: a repository is listed twice.
    """
    known = _boilerplate(run, documents) if params.conversation == "cleaned" else {}
    beyond = (
        over_budget(
            ((document, document_tokens(document)) for document in _kept(run, documents, params, known, report=False)),
            params.budgets,
        )
        if params.budgets
        else set()
    )

    def within() -> Iterator[Document]:
        for document in _kept(run, documents, params, known, report=True):
            if document.id in beyond:
                run.verdict(document.id, "over-budget")
            else:
                yield document

    run.write(within())


class Sifted(NamedTuple):
    """A document after the filter."""

    document: Document
    drop: Drop | None
    """Why it is left out."""
    left: list[Left]
    """What is left out of it."""


def sift(document: Document, params: FilterParams, boilerplate: Boilerplate | None, made: Mapping[str, Drop]) -> Sifted:
    """What is kept of a document.

    Args:
        document: as it was harvested.
        params: what is left out.
        boilerplate: of its repository's descriptions; None = what people said stays as it was written.
        made: of its repository, by path, why diffs of files that a program wrote are left out.
    """
    left: list[Left] = []
    if document.kind in TRACKED:
        return _sift_thread(document, boilerplate)
    if document.kind is not Kind.PULL:
        drop = judge(document, params)
        text, cut = without_base64(document.text) if drop is None else (document.text, 0)
        if cut:
            document = document.model_copy(update={"text": text})
            left = [Left("text", "base64-cut", f"{cut} characters")]
        return Sifted(document, drop, left)
    if boilerplate is not None:
        document, left = cleaned(document, boilerplate)
    if not document.text and not any(document.meta.get(name) for name in _SAYS):
        return Sifted(document, Drop("empty"), left)
    kept, diffs = filter_diffs(document, params, made)
    return Sifted(kept, None, [*left, *(Left(path, *why) for path, why in diffs)])


def _sift_thread(document: Document, boilerplate: Boilerplate | None) -> Sifted:
    """An issue or discussion as one text."""
    left: list[Left] = []
    if boilerplate is not None:
        if is_bot(author := document.meta.get("author")):
            return Sifted(document, Drop(f"bot-{document.kind}", str(author)), left)
        document, left = cleaned(document, boilerplate)
    drop = None if document.text.strip() or document.meta.get("comments") else Drop("empty")
    return Sifted(as_conversation(document), drop, left)


def _boilerplate(run: StepRun, documents: list[Artifact]) -> dict[tuple[str, str], Boilerplate]:
    """What nobody wrote in descriptions, by repository and kind."""
    templates: dict[tuple[str, bool], list[str]] = {}
    told: dict[tuple[str, str], list[str]] = {}
    for artifact in documents:
        for record in run.read_raw(artifact):
            repo, kind = record["repo"], record["kind"]
            if kind == Kind.FILE and is_template(record["path"]):
                templates.setdefault((repo, False), []).append(record["text"])
            elif kind == Kind.FILE and is_form(record["path"]):
                templates.setdefault((repo, True), []).append(shown_by_form(record["text"]))
            elif kind == Kind.PULL or kind in TRACKED:
                texts = told.setdefault((repo, kind), [])
                if not is_bot(record["meta"].get("author")):
                    texts.append(record["text"])
    return {
        (repo, kind): Boilerplate(templates.get((repo, kind in TRACKED), ()), texts, keeps_headings=kind in TRACKED)
        for (repo, kind), texts in told.items()
    }


def _kept(
    run: StepRun,
    documents: list[Artifact],
    params: FilterParams,
    known: dict[tuple[str, str], Boilerplate],
    report: bool,
) -> Iterator[Document]:
    """What is kept, sorted by id, so that a repository's files come before its pull requests."""
    sources = [run.read(artifact, Document) for artifact in documents]
    last = ""
    made: dict[str, dict[str, Drop]] = {}
    for document in heapq.merge(*sources, key=lambda document: document.id):
        if document.id == last:
            raise InputError(f"sources: {document.id} comes from two sources; list every repository once")
        last = document.id
        sifted = sift(document, params, known.get((document.repo, document.kind)), made.get(document.repo, {}))
        drop = sifted.drop
        if drop is not None and drop.reason in _MADE and params.generated_diffs == "drop":
            made.setdefault(document.repo, {})[document.path] = Drop(f"diff-{drop.reason}", drop.detail)
        if report:
            run.count("documents")
            run.count("diffs", len(document.meta.get("files") or ()))
            for part, reason, detail in sifted.left:
                run.verdict(f"{document.id}#{part}", reason, detail)
            if drop is not None:
                run.verdict(document.id, *drop)
        if drop is None:
            yield sifted.document


def _judge_diff(file: dict[str, Any], params: FilterParams) -> Drop | None:
    path = file["path"]
    kind = generated_kind(path) if params.generated_diffs == "drop" else None
    if kind is not None:
        return Drop(f"diff-{kind}")
    if params.generated_diffs == "drop" and file.get("patch") and file["status"] in ("added", "removed"):
        named = kind_of_path(path)
        if named and named.kind == "licence":  # all of it; a changed line may be somebody's own
            return Drop("diff-licence", named.by)
    if matches(path, params.exclude):
        return Drop("diff-excluded")
    patch = file.get("patch") or ""
    if params.generated_diffs == "drop" and (marker := generated_marker(patch)):
        return Drop("diff-generated", marker)
    if _LFS_POINTER.search(patch[:1_000]):
        return Drop("diff-lfs-pointer")
    if _BASE64.search(patch):
        return Drop("diff-base64")
    if params.max_line_characters is not None and max(map(len, patch.split("\n"))) > params.max_line_characters:
        return Drop("diff-long-line")
    tokens = estimated_tokens(patch)
    if params.max_file_tokens is not None and tokens > params.max_file_tokens:
        return Drop("diff-too-large", f"about {tokens} tokens")
    return None


def _covers(budget: BudgetParams, document: Document) -> bool:
    return budget.kind == document.kind and fnmatchcase(document.repo, budget.repo)
