"""Step `synthesis/facts`: documents of the split and the whole snapshot in, facts of both sides out, sorted by id."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.synthesis.facts import code, documentation, imports, manifests, pulls, threads
from tasks.synthesis.facts.corpus import Corpus, Family, corpora
from tasks.synthesis.index import FILES
from tasks.text.facts import Fact

VERSION = "2026.11.30.9"

_HIDDEN: Final = re.compile(r"\[redacted:[\w-]+\]")
"""What the step `corpus/redact` puts in place of a secret."""

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
def facts(run: StepRun, documents: Artifact, snapshots: Sequence[Artifact] = ()) -> None:
    """Finds what the documents of both sides say that can be asked, answered and checked.

    Writes `records.jsonl` (Fact); counts `kind:<name>` and `language:<name>`. A fact that two families find alike is
    kept once; the other makes a verdict `same-fact`. What would tell of a hidden secret is counted as `redacted`.

    Args:
        run: this execution.
        documents: the split.
        snapshots: all files of the repositories at their commits; what the split lacks of them makes lists known to be
            incomplete. Without them the split is taken for the whole.
    """
    total = sum(documents.counts.get(name, 0) for name in ("train", "held_out"))
    with tempfile.TemporaryFile() as spool, tempfile.TemporaryDirectory() as scratch:
        places: dict[str, int] = {}
        done = 0
        folder, left_out = run.checkout(documents), Path(scratch, "left-out.jsonl")
        run.count("left_out", _leave_out(run, documents, snapshots, left_out))
        for corpus in corpora(folder, FAMILIES, left_out):
            for document in corpus.documents():
                kept: dict[str, Fact] = {}
                for found in _of(corpus, document):
                    if _HIDDEN.search(found.line()):
                        run.count("redacted")
                    elif found.id in places or found.id in kept:
                        run.verdict(found.id, "same-fact", found.subject[:200])
                    else:
                        kept[found.id] = found
                for found in kept.values():
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


def _leave_out(run: StepRun, documents: Artifact, snapshots: Sequence[Artifact], file: Path) -> int:
    """Writes the files of the snapshots that the split lacks, in stored order, and says how many they are."""
    has = {one.id for name in FILES.values() for one in run.read(documents, Document, name)} if snapshots else set()
    number = 0
    with file.open("wb") as writer:
        for snapshot in snapshots:
            for document in run.read(snapshot, Document):
                if document.kind is Kind.FILE and document.id not in has and code.is_read(document):
                    writer.write(document.line().encode("utf-8", "surrogatepass") + b"\n")
                    number += 1
    return number


def _of(corpus: Corpus, document: Document) -> Iterator[Fact]:
    for family in FAMILIES:
        yield from family.facts(document, corpus)
