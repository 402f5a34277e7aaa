"""Chunking: speed, pieces over the budget and losslessness, beside the splitters people use, in one run on one corpus.

    python tests/benchmarks/chunking.py [--repo PATH] [--as-of DATE] [--budgets 512 8192]

The alternatives are installed into a temporary folder outside the tree, which is removed afterwards, and get the same
tokenizer. `encode_batch_fast` is the tokenizer's own speed on the same texts, as it is loaded from its file and without
any chunking: the upper bound. `at structure` is the share of cuts that stand before a function, class, member or
heading, as a syntax tree tells them; what remains lies mostly within definitions longer than a chunk.
Every method counts tokens by SmolLM2's tokenizer, except llama-index's CodeSplitter, which counts characters (3.4 a
token are assumed) and takes source files only.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from tasks.base.records import Document, Split
from tasks.base.store import Store
from tasks.corpus.chunk import Sided, chunk_documents
from tasks.corpus.params import RenderParams
from tasks.corpus.render import render_document
from tasks.harvest.git.mirror import open_source
from tasks.harvest.params import Servers, SourceParams
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import read_files
from tasks.model.base_model import stub_gguf
from tasks.model.child import run_child
from tasks.text.languages import is_markdown, language_of
from tasks.text.markdown import headings
from tasks.text.structure import definitions
from tasks.text.token_cache import TokenCache
from tasks.text.tokenizer import TextTokenizer

ALTERNATIVES = ("semchunk==4.1.1", "chonkie==1.7.0", "langchain-text-splitters==1.1.3", "llama-index-core==0.14.25")
REPEATS = 3

Method = Callable[[Sequence[Document], Sequence[str]], list[list[str]]]


def corpus(repo: str, as_of: datetime.date | None, folder: Path) -> list[Document]:
    """Text files of a repository."""
    store = Store(str(folder / "store"))
    source = SourceParams(repo=repo, as_of=as_of, pulls=None, wiki=None)
    resolved = resolve_source(source, Servers(), datetime.datetime.now(datetime.UTC), store).snapshot
    found = read_files(open_source(resolved.location, store), resolved, source.files)
    return [document for document in found if isinstance(document, Document)]


def ours(tokenizer: TextTokenizer, budget: int) -> Method:
    """`tasks/corpus/chunk.py`, without a cache."""

    def method(documents: Sequence[Document], texts: Sequence[str]) -> list[list[str]]:
        sided = (Sided(document, Split.TRAIN) for document in documents)
        pieces: dict[str, list[str]] = {document.id: [] for document in documents}
        for chunk in chunk_documents(sided, tokenizer.count_batch, budget, RenderParams()):
            pieces[chunk.document_id].append(chunk.text)
        return list(pieces.values())

    return method


def ours_cached(tokenizer: TextTokenizer, budget: int, folder: Path) -> Method:
    """The same with a warm cache, as in a second run."""

    def method(documents: Sequence[Document], texts: Sequence[str]) -> list[list[str]]:
        with TokenCache(folder, tokenizer) as cache:
            sided = (Sided(document, Split.TRAIN) for document in documents)
            made = chunk_documents(sided, cache.count_batch, budget, RenderParams())
            return [[chunk.text] for chunk in made]

    return method


def alternatives(tokenizer: TextTokenizer, folder: Path, budget: int) -> dict[str, Method]:
    """The libraries' own splitters by name, in the settings that lose least text."""
    semchunk, chonkie, langchain, parsers = (
        importlib.import_module(name)
        for name in ("semchunk", "chonkie", "langchain_text_splitters", "llama_index.core.node_parser")
    )

    def count(text: str) -> int:
        return len(tokenizer.encode(text))

    recursive = chonkie.RecursiveChunker(
        tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")), chunk_size=budget
    )
    split = langchain.RecursiveCharacterTextSplitter(
        chunk_size=budget, chunk_overlap=0, length_function=count, keep_separator="end", strip_whitespace=False
    )
    typescript = langchain.RecursiveCharacterTextSplitter.from_language(
        langchain.Language.TS, chunk_size=budget, chunk_overlap=0, length_function=count
    )
    sentences = parsers.SentenceSplitter(tokenizer=tokenizer.encode, chunk_size=budget, chunk_overlap=0)
    return {
        "semchunk": lambda _, texts: _semchunk(semchunk, count, budget, texts),
        "chonkie recursive": lambda _, texts: [[chunk.text for chunk in recursive(text)] for text in texts],
        "langchain recursive": lambda _, texts: [split.split_text(text) for text in texts],
        "langchain TypeScript": lambda _, texts: [typescript.split_text(text) for text in texts],
        "llama-index sentences": lambda _, texts: [sentences.split_text(text) for text in texts],
        "llama-index code": lambda documents, texts: [
            _code_splitter(parsers, document, budget).split_text(text) if language_of(document.path) else [text]
            for document, text in zip(documents, texts, strict=True)
        ],
    }


def _semchunk(library: Any, count: Callable[[str], int], budget: int, texts: Sequence[str]) -> list[list[str]]:
    """With a new counter each time: the library remembers what a counter has counted."""
    chunker = library.chunkerify(lambda text: count(text), budget)
    return [chunker(text) for text in texts]


def _code_splitter(parsers: Any, document: Document, budget: int) -> Any:
    return parsers.CodeSplitter(
        language=language_of(document.path), chunk_lines=10_000, chunk_lines_overlap=1, max_chars=int(budget * 3.4)
    )


def structure_of(document: Document, text: str) -> set[int]:
    """Characters of a rendered document at which a definition, with the comment above it, or a heading begins."""
    if is_markdown(document.path):
        lines = [heading.line for heading in headings(document.text)]
    else:
        lines = [found.outer_line for found in definitions(document.path, document.text)]
    starts = [0, *accumulate(len(line) + 1 for line in document.text.split("\n"))]
    return {len(text) - len(document.text) + starts[line - 1] for line in lines}


def at_structure(pieces: Sequence[Sequence[str]], texts: Sequence[str], structures: Sequence[set[int]]) -> str:
    """Share of the cuts, in files with structure, that stand where something begins; only of what is lossless."""
    found = cuts = 0
    for parts, text, structure in zip(pieces, texts, structures, strict=True):
        if structure and "".join(parts) == text:
            places = list(accumulate(map(len, parts)))[:-1]
            cuts += len(places)
            found += sum(place in structure for place in places)
    return f"{found / cuts:.0%}" if cuts else "-"


def install(folder: Path) -> None:
    """Makes the alternatives importable, behind everything that is installed already."""
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *ALTERNATIVES]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    sys.path.append(str(folder))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", default=".", help="git repository to chunk")
    parser.add_argument("--as-of", type=datetime.date.fromisoformat, help="date of the snapshot")
    parser.add_argument("--budgets", type=int, nargs="+", default=[512, 8192], help="tokens per chunk")
    parser.add_argument("--alternatives", type=Path, help="folder to install the alternatives into, and to keep")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_child(
            "tasks.model.convert:tokenizer_from_gguf",
            {"gguf": str(stub_gguf()), "target": str(_made(folder / "tokenizer"))},
            exclusive=False,  # it computes nothing
        )
        tokenizer = TextTokenizer.load(folder / "tokenizer")
        documents = corpus(asked.repo, asked.as_of, folder)
        texts = [render_document(document, RenderParams()) for document in documents]
        megabytes = sum(len(text.encode()) for text in texts) / 1e6
        own = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
        structures = [structure_of(document, text) for document, text in zip(documents, texts, strict=True)]
        install(asked.alternatives or folder / "alternatives")
        for budget in asked.budgets:
            methods: dict[str, Method] = {
                "rawtune": ours(tokenizer, budget),
                "rawtune, warm cache": ours_cached(tokenizer, budget, folder),
                **alternatives(tokenizer, folder / "tokenizer", budget),
            }
            ours_cached(tokenizer, budget, folder)(documents, texts)
            bound = _speed(megabytes, lambda: own.encode_batch_fast(texts, add_special_tokens=False))
            size = f"{len(texts)} files, {megabytes:.2f} MB"
            table = Table(title=f"{size}, at most {budget} tokens; encode_batch_fast {bound.wall:.2f} MB/s")
            for column in (
                "method",
                "MB/s",
                "MB/CPU-s",
                "of it, wall / CPU",
                "pieces",
                "over budget",
                "lossless files",
                "at structure",
            ):
                table.add_column(column, justify="left" if column == "method" else "right")
            for method_name, method in methods.items():
                speed = _speed(megabytes, lambda: method(documents, texts))  # noqa: B023
                pieces = method(documents, texts)
                flat = [piece for parts in pieces for piece in parts]
                over = sum(tokens > budget for tokens in tokenizer.count_batch(flat))
                whole = sum("".join(parts) == text for parts, text in zip(pieces, texts, strict=False))
                table.add_row(
                    method_name,
                    f"{speed.wall:.2f}",
                    f"{speed.cpu:.2f}",
                    f"{speed.wall / bound.wall:.0%} / {speed.cpu / bound.cpu:.0%}",
                    str(len(flat)),
                    str(over),
                    f"{whole}/{len(texts)}" if len(pieces) == len(texts) else "as above",
                    at_structure(pieces, texts, structures) if len(pieces) == len(texts) else "as above",
                )
            Console(width=130).print(table)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


class Speed(NamedTuple):
    """Best of some runs."""

    wall: float
    """MB per second on the clock."""
    cpu: float
    """MB per second of CPU, all threads together, which neighbours on the machine do not change."""


def _speed(megabytes: float, action: Callable[[], object]) -> Speed:
    wall, cpu = [], []
    for _ in range(REPEATS):
        started, used = time.perf_counter(), time.process_time()
        action()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    return Speed(megabytes / min(wall), megabytes / min(cpu))


if __name__ == "__main__":
    main()
