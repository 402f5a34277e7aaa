"""What the data report says, as figures: counted from the artifacts, in one pass over each.

summary.json:
    epochs      of the training to come, or null
    table       rows, tokens, trained_tokens, capacity_tokens, max_tokens, fill (share of the rows' length that holds
                tokens), held_out and held_out_trained (chunks and dialogues of held-out documents left out, trained on)
    sources     source → {parts, tokens, trained_tokens, unique_tokens, passes (tokens / unique tokens), documents}
    accounting  tokens_in, repeated, left_out (reason → tokens), tokens, adds_up
    steps       [{step, records, reasons (reason → number)}] of every step from harvest to table, in order
    redactions, duplicates, stale_pages   reason → number
    chunk_tokens, row_tokens   chunks by kind and rows, per bar of a histogram over 0 to table.max_tokens
    leaks       {leaked, suites: suite → {asked, leaked, not_asked}}; null without a guard
    study       {kinds: kind → {written, kept}, rejected: [{id, reason, detail}]}; only where a model wrote some
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Chunk
from tasks.base.shards import Shard
from tasks.mixture.table.draw import rank
from tasks.mixture.table.rows import Part, Row

BINS: Final = 32
"""Bars of a histogram."""
SHOWN: Final = 10
"""Longest and random samples shown of each."""


@dataclass(frozen=True)
class Sample:
    """Where a part stands in the table."""

    row: int
    start: int
    part: Part


@dataclass
class TableFacts:
    """What `rows.jsonl` says, gathered row by row; memory grows by one entry a part."""

    max_tokens: int
    rows: int = 0
    tokens: int = 0
    row_bins: list[int] = field(default_factory=lambda: [0] * BINS)
    sources: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    documents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    longest: list[tuple[int, int, int, Sample]] = field(default_factory=list)
    drawn: list[tuple[int, int, int, Sample]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Takes in a row; its id says where in the table it stands."""
        number, start = int(row.id.removeprefix("row-")), 0
        for part in row.parts:
            facts = self.sources[part.source]
            facts["tokens"] += part.tokens
            facts["trained_tokens"] += part.trained_tokens
            if part.copy_number == 0:
                facts["parts"] += 1
                facts["unique_tokens"] += part.tokens
                self.documents[part.source].add(part.document_id)
                sample = Sample(number, start, part)
                _keep(self.longest, (part.tokens, -number, -start, sample))
                _keep(self.drawn, (rank(0, part.id), number, start, sample))
            start += part.tokens
        self.row_bins[bin_of(row.tokens, self.max_tokens)] += 1
        self.rows += 1
        self.tokens += row.tokens

    def merge(self, other: TableFacts) -> None:
        """Takes in what other rows of the same table said."""
        self.rows += other.rows
        self.tokens += other.tokens
        self.row_bins = [ours + theirs for ours, theirs in zip(self.row_bins, other.row_bins, strict=True)]
        for source, counts in other.sources.items():
            self.sources[source].update(counts)
        for source, documents in other.documents.items():
            self.documents[source] |= documents
        for ours, theirs in ((self.longest, other.longest), (self.drawn, other.drawn)):
            for entry in theirs:
                _keep(ours, entry)


def _keep(heap: list[tuple[int, int, int, Sample]], entry: tuple[int, int, int, Sample]) -> None:
    (heapq.heappushpop if len(heap) >= SHOWN else heapq.heappush)(heap, entry)


def bin_of(tokens: int, max_tokens: int) -> int:
    """The bar that a length belongs to."""
    return min(BINS - 1, (tokens - 1) * BINS // max_tokens if tokens else 0)


def chunk_histogram(chunks: Iterable[Chunk], max_tokens: int) -> dict[str, list[int]]:
    """Chunks per bar, by kind."""
    bins: dict[str, list[int]] = {}
    for chunk in chunks:
        bins.setdefault(chunk.kind, [0] * BINS)[bin_of(chunk.tokens, max_tokens)] += 1
    return dict(sorted(bins.items()))


def table_shard(max_tokens: int, shard: Shard) -> TableFacts:
    """What a shard of `rows.jsonl` says."""
    facts = TableFacts(max_tokens)
    for row in shard.read(Row):
        facts.add(row)
    return facts


def chunk_shard(max_tokens: int, shard: Shard) -> dict[str, list[int]]:
    """`chunk_histogram` of a shard of chunks."""
    return chunk_histogram(shard.read(Chunk), max_tokens)


def summed(histograms: Iterable[dict[str, list[int]]]) -> dict[str, list[int]]:
    """One histogram of several, kind by kind."""
    total: dict[str, list[int]] = {}
    for bins in histograms:
        for kind, values in bins.items():
            total[kind] = [ours + theirs for ours, theirs in zip(total.get(kind, [0] * BINS), values, strict=True)]
    return dict(sorted(total.items()))


def reasons(artifact: Artifact) -> dict[str, int]:
    """Verdicts of a step by reason, most frequent first."""
    counts = {
        name.removeprefix("verdict:"): count for name, count in artifact.counts.items() if name.startswith("verdict:")
    }
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def step_facts(artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    """Records and verdicts of each step, in the order given."""
    return [
        {"step": artifact.step, "records": _records(artifact), "reasons": reasons(artifact)} for artifact in artifacts
    ]


def accounting(table: Artifact) -> dict[str, Any]:
    """Tokens in, tokens out, and what lies between, from the counts of `mixture/assemble`."""
    counts = table.counts
    left_out = {
        name.removeprefix("tokens_out:"): tokens for name, tokens in counts.items() if name.startswith("tokens_out:")
    }
    repeated = counts.get("tokens_repeated", 0)
    return {
        "tokens_in": counts["tokens_in"],
        "repeated": repeated,
        "left_out": left_out,
        "tokens": counts["tokens"],
        "adds_up": counts["tokens_in"] + repeated == counts["tokens"] + sum(left_out.values()),
    }


def summarise(
    table: Artifact, facts: TableFacts, chunk_bins: dict[str, list[int]], steps: Sequence[Artifact], epochs: int | None
) -> dict[str, Any]:
    """The content of summary.json but for `leaks`; see the docstring above."""
    by_step: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for artifact in steps:
        by_step[artifact.step].update(reasons(artifact))
    sources = {
        name: {
            **{key: counts[key] for key in ("parts", "tokens", "trained_tokens", "unique_tokens")},
            "passes": round(counts["tokens"] / counts["unique_tokens"], 3),
            "documents": len(facts.documents[name]),
        }
        for name, counts in sorted(facts.sources.items())
    }
    return {
        "epochs": epochs,
        "table": {
            "rows": facts.rows,
            "tokens": facts.tokens,
            "trained_tokens": sum(counts["trained_tokens"] for counts in facts.sources.values()),
            "capacity_tokens": facts.rows * facts.max_tokens,
            "max_tokens": facts.max_tokens,
            "fill": round(facts.tokens / (facts.rows * facts.max_tokens), 4),
            "held_out": table.counts.get("held_out", 0),
            "held_out_trained": table.counts.get("held_out_trained", 0),
        },
        "sources": sources,
        "accounting": accounting(table),
        "steps": step_facts(steps),
        "redactions": dict(by_step["corpus/redact"]),
        "duplicates": dict(by_step["corpus/deduplicate"]),
        "stale_pages": dict(by_step["corpus/stale-pages"]),
        "chunk_tokens": chunk_bins,
        "row_tokens": facts.row_bins,
    }


def _records(artifact: Artifact) -> int:
    if artifact.step == "corpus/split":
        return artifact.counts.get("train", 0) + artifact.counts.get("held_out", 0)
    return artifact.counts.get("records", 0)
