"""Step `synthesis/facts`: documents of the split in, facts of both sides out, sorted by id."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.synthesis.facts import code, documentation, imports, manifests, pulls
from tasks.synthesis.facts.corpus import Corpus, Family, corpora
from tasks.text.facts import Fact

VERSION = "2026.11.30.3"

FAMILIES: Final[tuple[Family, ...]] = (
    imports.FAMILY,
    code.FAMILY,
    manifests.FAMILY,
    documentation.FAMILY,
    pulls.FAMILY,
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
def facts(run: StepRun, documents: Artifact) -> None:
    """Finds what the documents of both sides say that can be asked, answered and checked.

    Writes `records.jsonl` (Fact); counts `kind:<name>` and `language:<name>`. A fact that two families find alike is
    kept once; the other makes a verdict `same-fact`.
    """
    total = sum(documents.counts.get(name, 0) for name in ("train", "held_out"))
    with tempfile.TemporaryFile() as spool:
        places: dict[str, int] = {}
        done = 0
        for corpus in corpora(run.checkout(documents), FAMILIES):
            for document in corpus.documents():
                for found in _of(corpus, document):
                    if found.id in places:
                        run.verdict(found.id, "same-fact", found.subject[:200])
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


def _of(corpus: Corpus, document: Document) -> Iterator[Fact]:
    for family in FAMILIES:
        yield from family.facts(document, corpus)
