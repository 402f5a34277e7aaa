"""corpus/chunk: both sides of the split, rendered and cut to the token budget of a training row.

In: the split and the model folder. Out: `records.jsonl` of chunks of both sides, sorted by id (`<document>#<index>`).
The chunks of a document, without their headers, join to its rendering; `tokens` is counted by encoding header and
text. Room is kept for the model's beginning token and an end token.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.batching import by_size
from tasks.base.records import Chunk, Document, Split
from tasks.base.runs import StepRun
from tasks.base.shards import LOCAL, RunnerParams, Shard, mapped, shards_of
from tasks.base.steps import step
from tasks.corpus.boundaries import find_boundaries
from tasks.corpus.cut import Count, Work, cut_all
from tasks.corpus.params import RenderParams
from tasks.corpus.render import Part, render_parts, source_header
from tasks.text.languages import is_markdown
from tasks.text.token_cache import TokenCache
from tasks.text.tokenizer import stored_tokenizer

VERSION: Final = "2026.11.30.3"

BATCH_CHARACTERS: Final = 4_000_000
"""Documents are cut in batches of this size: enough for all cores, little enough for memory."""
SAMPLED_CHARACTERS: Final = 20_000
"""Of longer texts three samples are encoded first, so that dense data is not planned like prose."""
SAMPLE_CHARACTERS: Final = 600
SOURCE_RATIO, PROSE_RATIO = 3.0, 4.0
"""First guess of characters per token, on the low side: in SmolLM2's tokenizer source code has 3.6 and dense data 2."""
MAX_HEADER_FRACTION: Final = 0.5
"""A header with more bytes than this share of the budget's tokens is left out; no token has less than one byte."""


class Sided(NamedTuple):
    """A document and its side."""

    document: Document
    split: Split


def chunk_documents(documents: Iterable[Sided], count: Count, budget: int, params: RenderParams) -> Iterator[Chunk]:
    """Chunks of documents, in the documents' order.

    Args:
        documents: in ascending order of id.
        count: number of tokens per text, in order.
        budget: most tokens of a chunk with its header.
        params: how documents are rendered.
    """
    rendered = ((sided, render_parts(sided.document, params)) for sided in documents)
    for batch in by_size(rendered, lambda pair: sum(len(part.text) for part in pair[1]), BATCH_CHARACTERS):
        works = [_work(document.document, parts, params, budget) for document, parts in batch]
        _measure(works, count)
        for (sided, _), work, pieces in zip(batch, works, cut_all(works, budget, count), strict=True):
            for index, piece in enumerate(pieces):
                yield Chunk(
                    id=f"{sided.document.id}#{index:05d}",
                    document_id=sided.document.id,
                    kind=sided.document.kind,
                    index=index,
                    last=index == len(pieces) - 1,
                    header=work.header(piece.start),
                    text=work.text[piece.start : piece.end],
                    tokens=piece.tokens,
                    split=sided.split,
                )


def in_order(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Sorts by id what is sorted by document: `a#00000` sorts after `a!b#00000`, though `a` sorts before `a!b`."""
    waiting: list[tuple[str, Chunk]] = []
    for chunk in chunks:
        while waiting and waiting[0][0] < chunk.document_id:
            yield heapq.heappop(waiting)[1]
        heapq.heappush(waiting, (chunk.id, chunk))
    while waiting:
        yield heapq.heappop(waiting)[1]


class Cut(NamedTuple):
    """What a shard came to."""

    chunks: list[Chunk]
    hits: int
    """Texts whose tokens were known."""
    misses: int


def chunk_shard(split: Split, model: Artifact, params: RenderParams, max_tokens: int, shard: Shard) -> Cut:
    """The chunks of a shard's documents, in the documents' order."""
    tokenizer = stored_tokenizer(shard.store.checkout(model))
    budget = max_tokens - len(tokenizer.prefix_ids) - 1
    documents = (Sided(document, split) for document in shard.read(Document))
    with TokenCache(shard.store.local("cache", "tokens"), tokenizer) as remembered:
        chunks = list(chunk_documents(documents, remembered.count_batch, budget, params))
    return Cut(chunks, remembered.hits, remembered.misses)


@step("corpus/chunk", VERSION)
def chunk(
    run: StepRun,
    documents: Artifact,
    model: Artifact,
    params: RenderParams,
    max_tokens: int,
    runner: RunnerParams = LOCAL,
) -> None:
    """Writes the chunks of both sides."""
    total = sum(documents.counts.get(split.value, 0) for split in Split)
    found: Counter[str] = Counter()
    with run.scratch() as folder:
        for split in Split:
            with (folder / split.value).open("w", encoding="utf-8", newline="\n") as spool:
                shards = shards_of(run.store, documents, f"{split.value}.jsonl", runner.shard_bytes)
                for cut in mapped(partial(chunk_shard, split, model, params, max_tokens), shards, runner):
                    spool.writelines(f"{made.line()}\n" for made in cut.chunks)
                    found.update(documents=sum(made.last for made in cut.chunks), hits=cut.hits, misses=cut.misses)
                    run.progress(found["documents"], total, "documents")
        sides = [_spooled(folder / split.value) for split in Split]
        run.write(_counted(run, in_order(heapq.merge(*sides, key=lambda made: made.document_id))))
    run.count("documents", found["documents"])
    run.ledger("tokens", hits=found["hits"], misses=found["misses"])


def _spooled(path: Path) -> Iterator[Chunk]:
    with path.open(encoding="utf-8", newline="\n") as reader:
        yield from map(Chunk.model_validate_json, reader)


def _counted(run: StepRun, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    for made in chunks:
        run.count("tokens", made.tokens)
        run.count(f"tokens:{made.kind}:{made.split}", made.tokens)
        yield made


def _work(document: Document, parts: list[Part], params: RenderParams, budget: int) -> Work:
    text = "".join(part.text for part in parts)
    starts = [0, *accumulate(len(part.text) for part in parts)][:-1]
    line = source_header(document, params)
    longest = int(MAX_HEADER_FRACTION * budget)
    ratio = PROSE_RATIO if document.is_page or is_markdown(document.path) else SOURCE_RATIO
    has_headers = bool(line) or any(part.context or part.opening for part in parts)

    def header(start: int) -> str:
        if not has_headers:
            return ""
        number = bisect_right(starts, start) - 1
        part = parts[number]
        repeated = part.opening if starts[number] == start else part.context
        return next((head for head in (line + repeated, repeated, line) if len(head.encode()) <= longest), "")

    return Work(text, cache(partial(find_boundaries, document, parts)), header, ratio)


def _measure(works: list[Work], count: Count) -> None:
    """Sets the characters per token of long texts by three samples of each."""
    long = [work for work in works if len(work.text) > SAMPLED_CHARACTERS]
    places = [(work, int(len(work.text) * share)) for work in long for share in (0.2, 0.5, 0.8)]
    samples = [work.text[place : place + SAMPLE_CHARACTERS] for work, place in places]
    counts = iter(count(samples))
    for work in long:
        work.ratio = 3 * SAMPLE_CHARACTERS / max(1, next(counts) + next(counts) + next(counts))
