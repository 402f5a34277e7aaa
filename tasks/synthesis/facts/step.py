"""Step `synthesis/facts`: documents of the split in, facts of both sides out, sorted by id."""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.synthesis.facts import code, documentation, imports, manifests, pulls, threads
from tasks.synthesis.facts.corpus import Corpus, Family, corpora
from tasks.synthesis.quotas import EXPLAINING
from tasks.text.facts import Fact, Shape

VERSION = "2026.11.30.5"

FAMILIES: Final[tuple[Family, ...]] = (
    imports.FAMILY,
    code.FAMILY,
    manifests.FAMILY,
    documentation.FAMILY,
    pulls.FAMILY,
    threads.FAMILY,
)
"""A family sees every document of a side; the order decides nothing."""


class Written(NamedTuple):
    """A fact as it was written to the spool."""

    id: str
    text: str

    def line(self) -> str:
        """The fact's own JSON line."""
        return self.text


@step("synthesis/facts", VERSION)
def facts(run: StepRun, documents: Artifact, per_document: int | None = None) -> None:
    """Finds what the documents of both sides say that can be asked, answered and checked.

    Writes `records.jsonl` (Fact); counts `kind:<name>` and `language:<name>`. A fact that two families find alike is
    kept once; the other makes a verdict `same-fact`.

    Args:
        run: this execution.
        documents: the split.
        per_document: most facts of one document, the others are counted as `over-cap`; None = all.
    """
    total = sum(documents.counts.get(name, 0) for name in ("train", "held_out"))
    with tempfile.TemporaryFile() as spool:
        places: dict[str, int] = {}
        done = 0
        for corpus in corpora(run.checkout(documents), FAMILIES):
            for document in corpus.documents():
                kept: dict[str, Fact] = {}
                for found in _of(corpus, document):
                    if found.id in places or found.id in kept:
                        run.verdict(found.id, "same-fact", found.subject[:200])
                    else:
                        kept[found.id] = found
                for number, found in enumerate(kept.values() if per_document is None else in_turn(kept.values())):
                    if per_document is not None and number >= per_document:
                        run.count("over-cap")
                        continue
                    places[found.id] = spool.tell()
                    spool.write(found.line().encode() + b"\n")
                    run.count(f"kind:{found.kind}")
                    run.count(f"language:{found.language}")
                done += 1
                run.progress(done, total, "documents", facts=len(places))

        def ordered() -> Iterator[Written]:
            for identifier, offset in sorted(places.items()):
                spool.seek(offset)
                yield Written(identifier, spool.readline().decode().removesuffix("\n"))

        run.write(ordered())


def in_turn(found: Iterable[Fact]) -> list[Fact]:
    """Facts of one document, kinds taking turns in the order of a hash: those that explain first, of them those of few
    words; within a kind the shortest answer first. So a few facts of many documents are of many kinds, and a small
    budget can teach them.
    """
    kinds: dict[str, list[Fact]] = defaultdict(list)
    for fact in sorted(found, key=lambda fact: (sum(map(len, fact.values)), _digest(fact.id))):
        kinds[fact.kind].append(fact)
    ordered = sorted(
        kinds.items(),
        key=lambda entry: (entry[0] not in EXPLAINING, entry[1][0].shape is Shape.PROSE, _digest(entry[1][0].id)),
    )
    return [fact for turn in zip_longest(*(held for _, held in ordered)) for fact in turn if fact is not None]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _of(corpus: Corpus, document: Document) -> Iterator[Fact]:
    for family in FAMILIES:
        yield from family.facts(document, corpus)
