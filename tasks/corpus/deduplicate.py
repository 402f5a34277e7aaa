"""corpus/deduplicate: one of several copies, exact or near, across all sources.

In: documents. Out: the documents that are no copy of one that is kept. A copy is a verdict `duplicate` or
`near-duplicate` whose detail names the document that is kept and, for near copies, the estimated similarity. A file
that defines a name which the other does not have is no copy, however alike they are.
`documents` = `records` + verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from hashlib import blake2b
from typing import Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.shards import LOCAL, RunnerParams
from tasks.base.steps import step
from tasks.corpus.likeness import Signatures, content, groups, outlined
from tasks.corpus.params import DeduplicateParams
from tasks.text.ngrams import jaccard, similar_pairs, words
from tasks.text.structure import definitions

VERSION: Final = "2026.11.30.2"

PRECEDENCE: Final[dict[str, int]] = {Kind.FILE: 0, Kind.WIKI: 1, Kind.PULL: 3}
"""Which of two copies is kept: the file is the truth, a page quotes it, a pull request once made it. Every other kind
is between page and pull request.
"""
OTHER_KIND: Final = 2


Names = Callable[[Collection[str]], dict[str, frozenset[str]]]
"""What documents define, by id."""


class Outline(NamedTuple):
    """What is kept in memory of a document."""

    id: str
    kind: str
    digest: bytes
    is_long: bool
    """Whether it has enough words to be compared by likeness."""


def outline(document: Document, params: DeduplicateParams) -> Outline:
    """The facts of a document that deduplication needs."""
    text = content(document)
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return Outline(
        document.id, document.kind, digest, len(text) >= 2 * params.near_words and len(words(text)) >= params.near_words
    )


def find_copies(
    outlines: list[Outline], matrix: Signatures, params: DeduplicateParams, names: Names
) -> dict[str, tuple[str, str]]:
    """Reason and detail per id of each document that is a copy of one that is kept.

    Args:
        outlines: of all documents.
        matrix: their signatures, uint32, shape [documents, PERMUTATIONS].
        params: thresholds.
        names: what documents define, asked only of those that are alike: one that defines something else is no copy.
    """
    order = sorted(
        range(len(outlines)), key=lambda row: (PRECEDENCE.get(outlines[row].kind, OTHER_KIND), outlines[row].id)
    )
    copies: dict[str, tuple[str, str]] = {}
    first: dict[bytes, int] = {}
    for row in order:
        kept = first.setdefault(outlines[row].digest, row)
        if kept != row:
            copies[outlines[row].id] = ("duplicate", outlines[kept].id)
    if params.near_threshold is None:
        return copies
    candidates = [row for row in order if outlines[row].is_long and outlines[row].id not in copies]
    pairs = [(left, right) for left, right, _ in similar_pairs(matrix[candidates], params.near_threshold)]
    alike = [members for members in groups(len(candidates), pairs).values() if len(members) > 1]
    defined = names({outlines[candidates[member]].id for members in alike for member in members})
    for members in alike:
        kept_rows: list[int] = []
        for row in (candidates[member] for member in members):  # candidates are in order of precedence
            own = defined.get(outlines[row].id, frozenset())
            likeness, kept = max(
                (
                    (jaccard(matrix[row], matrix[other]), other)
                    for other in kept_rows
                    if own <= defined.get(outlines[other].id, frozenset())
                ),
                default=(0.0, -1),
            )
            if likeness >= params.near_threshold:
                copies[outlines[row].id] = ("near-duplicate", f"{outlines[kept].id} ({likeness:.2f})")
            else:
                kept_rows.append(row)
    return copies


def defined_names(documents: Iterable[Document], wanted: Collection[str]) -> dict[str, frozenset[str]]:
    """What each of the wanted files defines at its top level, by id."""
    return {
        document.id: frozenset(item.qualified for item in definitions(document.path, document.text))
        for document in documents
        if document.kind is Kind.FILE and document.id in wanted
    }


@step("corpus/deduplicate", VERSION)
def deduplicate(run: StepRun, documents: Artifact, params: DeduplicateParams, runner: RunnerParams = LOCAL) -> None:
    """Writes the documents that are kept and a verdict per copy."""
    outlines, matrix = outlined(run, documents, partial(outline, params=params), runner)
    copies = find_copies(
        outlines, matrix, params, lambda wanted: defined_names(run.read(documents, Document), wanted) if wanted else {}
    )
    run.count("documents", len(outlines))
    for identifier, (reason, detail) in sorted(copies.items()):
        run.verdict(identifier, reason, detail)
    run.write(document for document in run.read(documents, Document) if document.id not in copies)
