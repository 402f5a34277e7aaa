"""Is the passage found that holds the answer? Rawtune's passages and queries beside bm25s as it is over runs of lines.

    python tests/benchmarks/retrieval.py REPO [REPO…] [--as-of DATE] [--pulls 100]

Per repository: passages, seconds of cutting and indexing, recall@1 and @5 of the evaluation's questions that have an
answer in a document: the lines that hold it lie in the passage. `bm25s` asks the whole question in its own tokens,
without English stop words; `queries` asks the same runs of lines by identifiers, as rawtune does; `rawtune` cuts along
definitions and sections, too. Then bytes and seconds of the index of a release, and what the right answers would cite.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import bm25s

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tasks.base.artifacts import Artifact  # noqa: E402
from tasks.base.records import Document, Item  # noqa: E402
from tasks.base.runs import read_records  # noqa: E402
from tasks.base.store import Store  # noqa: E402
from tasks.evaluation.citations import holds  # noqa: E402
from tasks.evaluation.items import items  # noqa: E402
from tasks.evaluation.params import ItemsParams, Suite  # noqa: E402
from tasks.retrieval.citations import cited  # noqa: E402
from tasks.retrieval.index import Index  # noqa: E402
from tasks.retrieval.passages import CHARACTERS_PER_TOKEN, Passage, passages  # noqa: E402
from tasks.synthesis.facts.step import facts  # noqa: E402
from tests.benchmarks.synthesis import documents_of  # noqa: E402

TOKENS = 300


def runs_of_lines(documents: Sequence[Document], passage_tokens: int) -> Iterator[Passage]:
    """The alternative: whole lines until a passage is full."""
    limit = int(passage_tokens * CHARACTERS_PER_TOKEN)
    for document in documents:
        lines = document.text.split("\n")
        first, size = 1, 0
        for number, line in enumerate([*lines, ""], 1):
            if (size and size + len(line) > limit) or number > len(lines):
                yield Passage(
                    **document.model_dump(include={"kind", "repo", "revision", "path", "title", "url"}),
                    document_id=document.id,
                    span=(first, number - 1),
                    date=None,
                    symbols=(),
                    body="\n".join(lines[first - 1 : number - 1])[: 2 * limit],
                )
                first, size = number, 0
            size += len(line) + 1


class PlainIndex:
    """bm25s as its own documentation uses it."""

    def __init__(self, found: Sequence[Passage]) -> None:
        self.found = found
        self.bm25 = bm25s.BM25()
        self.bm25.index(bm25s.tokenize([one.body for one in found], stopwords="en", show_progress=False))

    def search(self, question: str, number: int) -> list[Passage]:
        """The `number` best passages."""
        tokens = bm25s.tokenize([question], stopwords="en", show_progress=False)
        places, _ = self.bm25.retrieve(tokens, k=min(number, len(self.found)), show_progress=False)
        return [self.found[int(place)] for place in places[0]]


def recalled(search: Callable[[str, int], list[Passage]], asked: Sequence[Item]) -> tuple[float, float]:
    """Share of questions whose passage is the first, and among the first five."""
    first = five = 0
    for item in asked:
        found = [holds(passage, item) for passage in search(item.question, 5)]
        first += any(found[:1])
        five += any(found)
    return first / len(asked), five / len(asked)


def measure(name: str, documents: list[Document], asked: list[Item]) -> None:
    """Prints the rows of one repository."""
    print(f"{name}: {len(documents)} documents, {len(asked)} questions")
    for label, cut, indexed in (
        ("bm25s", runs_of_lines, PlainIndex),
        ("queries", runs_of_lines, Index.of),
        ("rawtune", passages, Index.of),
    ):
        started = time.monotonic()
        made = list(cut(documents, TOKENS))
        between = time.monotonic()
        index = indexed(made)
        searched = time.monotonic()
        first, five = recalled(index.search, asked)
        print(
            f"  {label:8} {len(made):6} passages, cut {between - started:6.2f} s, indexed {searched - between:6.2f} s, "
            f"a question {1000 * (time.monotonic() - searched) / len(asked):6.2f} ms, @1 {first:.1%}, @5 {five:.1%}"
        )
    index = Index.of(list(passages(documents, TOKENS)))
    with tempfile.TemporaryDirectory() as scratch:
        started = time.monotonic()
        index.save(Path(scratch))
        size = sum(path.stat().st_size for path in Path(scratch).iterdir())
        between = time.monotonic()
        opened = Index.open(Path(scratch))
        print(
            f"  saved in {between - started:.2f} s, {size / 1e6:.2f} MB for {_megabytes(documents):.2f} MB of text, "
            f"opened in {time.monotonic() - between:.3f} s"
        )
        right = wrong = nothing = 0
        for item in asked:
            found = opened.search(item.question, 3)
            if any(holds(passage, item) for passage in found):
                chosen = cited(item.question, item.answers[0], found)
                right += bool(chosen) and holds(found[chosen[0]], item)
                wrong += bool(chosen) and not holds(found[chosen[0]], item)
                nothing += not chosen
        print(f"  right answers whose passage was shown cite it {right}, another {wrong}, none {nothing}")


def _megabytes(documents: Sequence[Document]) -> float:
    return sum(len(document.text.encode()) for document in documents) / 1e6


def of_split(store: Store, split: Artifact, snapshot: Artifact) -> tuple[list[Document], list[Item]]:
    """Documents of a split, and questions about them that have an answer; `code` asks for what is not in any."""
    made = items.direct(
        store,
        documents=split,
        facts=facts.direct(store, documents=split, snapshots=[snapshot]),
        params=ItemsParams(items=500, general_items=0),
    )
    documents = [
        document
        for name in ("train.jsonl", "held_out.jsonl")
        for document in read_records(store, split, Document, name)
    ]
    asked = [item for item in read_records(store, made, Item) if item.answerable and item.suite != Suite.CODE]
    return documents, asked


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repos", nargs="+")
    parser.add_argument("--as-of", type=datetime.date.fromisoformat)
    parser.add_argument("--pulls", type=int, default=100)
    arguments = parser.parse_args()
    for repo in arguments.repos:
        with tempfile.TemporaryDirectory() as scratch:
            store = Store(scratch)
            measure(repo, *of_split(store, *documents_of(store, repo, arguments.as_of, arguments.pulls)))


if __name__ == "__main__":
    main()
