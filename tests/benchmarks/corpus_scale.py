"""The corpus room end to end: tokens per second, and memory against corpus size (it should be flat).

    python tests/benchmarks/corpus_scale.py [--repo PATH] [--as-of DATE] [--copies 1 8 64]

A larger corpus is made of one repository by copies in which the letters of every copy are exchanged, vowels for
vowels and consonants for consonants, so that no copy is a near copy of another while word lengths, punctuation and
structure stay. Each step runs in a process of its own, whose peak memory is read.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import multiprocessing
import random
import resource
import shutil
import string
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import Step, step
from tasks.base.store import Artifact, Store
from tasks.corpus.chunk import chunk
from tasks.corpus.deduplicate import deduplicate
from tasks.corpus.filters import filter_documents
from tasks.corpus.params import ChunkParams, DeduplicateParams, FilterParams, RedactParams, SplitParams
from tasks.corpus.redact import redact
from tasks.corpus.split import split
from tasks.harvest.params import GithubParams, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tasks.model.base_model import stub_gguf
from tasks.model.child import run_child

VOWELS = "aeiou"
CONSONANTS = "".join(sorted(set(string.ascii_lowercase) - set(VOWELS)))


class Measured(NamedTuple):
    """One step in its own process."""

    artifact: Artifact
    seconds: float
    cpu: float
    peak_bytes: int


@step("benchmark/copies", "1")
def copies_of(run: StepRun, harvested: list[Artifact], copies: int) -> None:
    """Writes a corpus of so many times the size."""

    def made() -> Iterator[Document]:
        documents = [document for artifact in harvested for document in run.read(artifact, Document)]
        for number in range(copies):
            yield from sorted(
                (_exchanged(document, number) for document in documents), key=lambda document: document.id
            )

    run.write(made())


@step("benchmark/model", "1")
def tokenizer_folder(run: StepRun, path: str) -> None:
    """Writes a model folder that holds a tokenizer only."""
    shutil.copytree(path, run.folder, dirs_exist_ok=True)


def _exchanged(document: Document, number: int) -> Document:
    chance = random.Random(number)
    source, target = "", ""
    for letters in (VOWELS, CONSONANTS):
        mixed = "".join(chance.sample(letters, len(letters)))
        source, target = source + letters + letters.upper(), target + mixed + mixed.upper()
    table = str.maketrans(source, target)
    repo = f"{document.repo}-{number:05d}"
    files = [file | {"patch": (file["patch"] or "").translate(table)} for file in document.meta.get("files") or ()]
    changes: dict[str, Any] = {
        "id": repo + document.id.removeprefix(document.repo),
        "repo": repo,
        "title": document.title.translate(table),
        "text": document.text.translate(table),
        "meta": document.meta | ({"files": files} if files else {}),
    }
    return document.model_copy(update=changes)


def _in_child(module: str, name: str, store: Store, arguments: dict[str, Any], answers: Any) -> None:
    started = time.perf_counter()
    artifact = getattr(importlib.import_module(module), name).direct(store, **arguments)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.perf_counter() - started
    answers.put(Measured(artifact, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024))


def measure(made_by: Step[Any], store: Store, **arguments: Any) -> Measured:
    """Runs a step in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    address = (made_by.body.__module__, made_by.body.__name__)
    process = context.Process(target=_in_child, args=(*address, store, arguments, answers))
    process.start()
    measured: Measured = answers.get()
    process.join()
    return measured


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", default=".", help="git repository")
    parser.add_argument("--as-of", type=datetime.date.fromisoformat, help="date of the snapshot")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 8, 64])
    asked = parser.parse_args()
    table = Table(title="corpus room, SmolLM2's tokenizer, at most 8192 tokens a chunk")
    for column in ("copies", "step", "documents", "seconds", "CPU seconds", "peak MB"):
        table.add_column(column, justify="left" if column == "step" else "right")
    with tempfile.TemporaryDirectory() as name:
        store = Store(str(Path(name) / "store"))
        folder = Path(name) / "tokenizer"
        folder.mkdir()
        request = {"gguf": str(stub_gguf()), "target": str(folder)}
        run_child("tasks.model.convert:tokenizer_from_gguf", request, exclusive=False)  # it computes nothing
        model = tokenizer_folder.direct(store, path=str(folder))
        source = SourceParams(repo=asked.repo, as_of=asked.as_of, wiki=None)
        resolved = resolve_source(source, GithubParams(), datetime.datetime.now(datetime.UTC), store)
        harvested = [snapshot.direct(store, source=resolved.snapshot, params=source.files)]
        if resolved.pulls:
            harvested.append(pulls.direct(store, source=resolved.pulls))
        for copies in asked.copies:
            corpus = copies_of.direct(store, harvested=harvested, copies=copies)
            kept = measure(filter_documents, store, documents=[corpus], params=FilterParams())
            clean = measure(redact, store, documents=kept.artifact, params=RedactParams())
            unique = measure(deduplicate, store, documents=clean.artifact, params=DeduplicateParams())
            both = measure(split, store, documents=unique.artifact, params=SplitParams())
            chunks = measure(chunk, store, documents=both.artifact, model=model, params=ChunkParams())
            steps = {"filter": kept, "redact": clean, "deduplicate": unique, "split": both, "chunk": chunks}
            for title, made in steps.items():
                documents = made.artifact.counts.get("documents", made.artifact.counts.get("records", 0))
                cells = (f"{made.seconds:.1f}", f"{made.cpu:.1f}", f"{made.peak_bytes / 1e6:.0f}")
                table.add_row(str(copies), title, str(documents), *cells)
            tokens = chunks.artifact.counts["tokens"]
            seconds, cpu = sum(made.seconds for made in steps.values()), sum(made.cpu for made in steps.values())
            peak = max(made.peak_bytes for made in steps.values())
            total = (f"{seconds:.1f} ({tokens / seconds:,.0f} tokens/s)", f"{cpu:.1f}", f"{peak / 1e6:.0f}")
            table.add_row(str(copies), f"all: {tokens:,} tokens", "", *total, end_section=True)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
