"""From documents to the training table: tokens per second, and memory against corpus size (it should be flat).

    python tests/benchmarks/corpus_scale.py [--repo PATH] [--as-of DATE] [--copies 1 8 64] [--mixture]

With `--mixture` the corpus goes on through dialogues (one wording a fact, so that raw text stays a good part),
questions, table, leak guard and data report; without it the corpus room alone is measured.

A larger corpus is made of one repository by copies in which the letters of every copy are exchanged, vowels for
vowels and consonants for consonants, so that no copy is a near copy of another while word lengths, punctuation,
keywords and with them structure stay. Each step runs in a process of its own, whose peak memory is read; `silence` is
the longest time in which it did not say how far it is.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import multiprocessing
import random
import re
import resource
import shutil
import string
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tasks.base.artifacts import Artifact
from tasks.base.progress import listening
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import Step, step
from tasks.base.store import Store
from tasks.corpus.chunk import chunk
from tasks.corpus.deduplicate import deduplicate
from tasks.corpus.filters import filter_documents
from tasks.corpus.params import DeduplicateParams, FilterParams, RedactParams, RenderParams, SplitParams
from tasks.corpus.redact import redact
from tasks.corpus.split import split
from tasks.evaluation.items import items
from tasks.evaluation.params import ItemsParams
from tasks.harvest.params import Servers, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tasks.mixture.leaks.guard import leak_guard
from tasks.mixture.params import LeakParams, MixtureParams
from tasks.mixture.report.data_report import data_report
from tasks.mixture.table.assemble import assemble
from tasks.model.base_model import stub_gguf
from tasks.model.child import run_child
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams

VOWELS = "aeiou"
CONSONANTS = "".join(sorted(set(string.ascii_lowercase) - set(VOWELS)))

KEYWORDS = frozenset(
    """as async await break case catch class const continue def default do else enum export extends false final finally
    for from function if implements import in interface is let new null object of or override package private protected
    public raise readonly return self static struct super switch this throw trait true try type typeof val var void when
    while with yield""".split()  # noqa: SIM905  a list of 60 strings reads worse
)
"""Of the languages in which repositories are written; without them no definition would be found."""
WORDS = re.compile(r"[A-Za-z]+")


class Measured(NamedTuple):
    """One step in its own process."""

    artifact: Artifact
    seconds: float
    cpu: float
    peak_bytes: int
    silence: float


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
    letters_of = str.maketrans(source, target)

    def exchanged(text: str) -> str:
        return WORDS.sub(lambda found: found[0] if found[0] in KEYWORDS else found[0].translate(letters_of), text)

    repo = f"{document.repo}-{number:05d}"
    files = [file | {"patch": exchanged(file["patch"] or "")} for file in document.meta.get("files") or ()]
    changes: dict[str, Any] = {
        "id": repo + document.id.removeprefix(document.repo),
        "repo": repo,
        "title": exchanged(document.title),
        "text": exchanged(document.text),
        "meta": document.meta | ({"files": files} if files else {}),
    }
    return document.model_copy(update=changes)


def _in_child(module: str, name: str, store: Store, arguments: dict[str, Any], answers: Any) -> None:
    started = time.perf_counter()
    heard = [started]
    with listening(lambda event: heard.append(time.perf_counter())):
        artifact = getattr(importlib.import_module(module), name).direct(store, **arguments)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    heard.append(time.perf_counter())
    silence = max(later - earlier for earlier, later in pairwise(heard))
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    answers.put(Measured(artifact, heard[-1] - started, cpu, peak, silence))


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


def mixture(store: Store, documents: Artifact, chunks: Artifact, model: Artifact) -> dict[str, Measured]:
    """Measures the steps from the split to the data report."""
    known = measure(facts, store, documents=documents)
    pairs = measure(dialogues, store, documents=documents, facts=known.artifact, params=SynthesisParams(wordings=1))
    asked = measure(items, store, documents=documents, facts=known.artifact, params=ItemsParams())
    made = {"chunks": chunks, "dialogues": pairs.artifact}
    rows = measure(assemble, store, **made, model=model, params=MixtureParams(), max_tokens=8192)
    guarded = measure(leak_guard, store, items=asked.artifact, table=rows.artifact, **made, params=LeakParams())
    report = measure(
        data_report,
        store,
        table=rows.artifact,
        chunks=chunks,
        model=model,
        max_tokens=8192,
        corpus=[documents],
        items=asked.artifact,
        guarded=guarded.artifact,
    )
    return {
        "facts": known,
        "dialogues": pairs,
        "items": asked,
        "assemble": rows,
        "leak guard": guarded,
        "data report": report,
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", default=".", help="git repository")
    parser.add_argument("--as-of", type=datetime.date.fromisoformat, help="date of the snapshot")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--mixture", action="store_true", help="go on to the training table")
    asked = parser.parse_args()
    table = Table(title="SmolLM2's tokenizer, at most 8192 tokens a row")
    for column in ("copies", "step", "records", "tokens", "seconds", "CPU s", "tokens/s", "peak MB", "silence s"):
        table.add_column(column, justify="left" if column == "step" else "right")
    with tempfile.TemporaryDirectory() as name:
        store = Store(str(Path(name) / "store"))
        folder = Path(name) / "tokenizer"
        folder.mkdir()
        request = {"gguf": str(stub_gguf()), "target": str(folder)}
        run_child("tasks.model.convert:tokenizer_from_gguf", request, exclusive=False)  # it computes nothing
        model = tokenizer_folder.direct(store, path=str(folder))
        source = SourceParams(repo=asked.repo, as_of=asked.as_of, wiki=None)
        resolved = resolve_source(source, Servers(), datetime.datetime.now(datetime.UTC), store)
        harvested = [snapshot.direct(store, source=resolved.snapshot, params=source.files)]
        if resolved.pulls:
            harvested.append(pulls.direct(store, source=resolved.pulls))
        for copies in asked.copies:
            corpus = copies_of.direct(store, harvested=harvested, copies=copies)
            kept = measure(filter_documents, store, documents=[corpus], params=FilterParams())
            clean = measure(redact, store, documents=kept.artifact, params=RedactParams())
            unique = measure(deduplicate, store, documents=clean.artifact, params=DeduplicateParams())
            both = measure(split, store, documents=unique.artifact, params=SplitParams(), validation_fraction=0.1)
            chunks = measure(chunk, store, documents=both.artifact, model=model, params=RenderParams(), max_tokens=8192)
            steps = {"filter": kept, "redact": clean, "deduplicate": unique, "split": both, "chunk": chunks}
            if asked.mixture:
                steps |= mixture(store, both.artifact, chunks.artifact, model)
            raw = chunks.artifact.counts["tokens"]
            for title, made in steps.items():
                counts = made.artifact.counts
                records = counts.get("documents", counts.get("records", counts.get("rows", 0)))
                tokens = counts.get("tokens", raw)
                cells = (f"{records:,}", f"{tokens:,}", f"{made.seconds:.1f}", f"{made.cpu:.1f}")
                speed = f"{tokens / made.seconds:,.0f}"
                table.add_row(str(copies), title, *cells, speed, f"{made.peak_bytes / 1e6:.0f}", f"{made.silence:.1f}")

            tokens = steps["assemble"].artifact.counts["tokens"] if asked.mixture else raw
            seconds, cpu = sum(made.seconds for made in steps.values()), sum(made.cpu for made in steps.values())
            peak = max(made.peak_bytes for made in steps.values())
            total = (f"{tokens:,}", f"{seconds:.1f}", f"{cpu:.1f}", f"{tokens / seconds:,.0f}", f"{peak / 1e6:.0f}")
            table.add_row(str(copies), "all", "", *total, "", end_section=True)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
