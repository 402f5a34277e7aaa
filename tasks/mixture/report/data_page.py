"""The data report as an HTML page, and in a few lines of Markdown for the Prefect UI.

Its samples are parts of the finished table, decoded, with the loss mask visible: what a person checks before trusting a
training set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from tasks.base.errors import printable
from tasks.base.records import IGNORED
from tasks.figures.charts import bar, histogram
from tasks.figures.page import count, percent, render
from tasks.mixture.leaks.guard import Hit
from tasks.mixture.report.data_facts import Sample
from tasks.text.tokenizer import TextTokenizer

TEMPLATE = Path(__file__).with_name("data_report.html.jinja")
HEAD_TOKENS: Final = 420
TAIL_TOKENS: Final = 120
"""Shown of a long part: its beginning and its end, where the end token is."""


@dataclass(frozen=True)
class Piece:
    """A stretch of text of one colour."""

    text: str
    style: str
    """`trained`, `masked`, or either with ` control` for control tokens; `gap` for what is not shown."""


@dataclass(frozen=True)
class Shown:
    """A sample as the page draws it."""

    id: str
    source: str
    tokens: int
    trained_tokens: int
    pieces: tuple[Piece, ...]


def read_samples(folder: Path, samples: Sequence[Sample], tokenizer: TextTokenizer) -> list[Shown]:
    """The samples, in the order given; reads only the row groups that hold them.

    Args:
        folder: of the table artifact.
        samples: where they stand.
        tokenizer: of the model that the table is for.
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder / "table.parquet")
    rows: dict[int, tuple[Any, Any]] = {}
    first = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        wanted = sorted({sample.row for sample in samples if first <= sample.row < first + count})
        if wanted:
            columns = file.read_row_group(group, columns=["input_ids", "labels"])
            for row in wanted:
                rows[row] = tuple(
                    columns.column(name)[row - first].values.to_numpy() for name in ("input_ids", "labels")
                )
        first += count
    return [_shown(sample, *rows[sample.row], tokenizer) for sample in samples]


def pieces(ids: Sequence[int], trained: Sequence[bool], tokenizer: TextTokenizer) -> list[Piece]:
    """Stretches of equal mask as text; a control token is a stretch of its own."""
    marks = [
        ("trained" if is_trained else "masked") + (" control" if token in tokenizer.control_ids else "")
        for token, is_trained in zip(ids, trained, strict=True)
    ]
    return [
        Piece(tokenizer.decode(token for token, _ in stretch), style)
        for style, stretch in (
            (style, list(group)) for style, group in groupby(zip(ids, marks, strict=True), key=lambda pair: pair[1])
        )
    ]


def _shown(sample: Sample, ids: Any, labels: Any, tokenizer: TextTokenizer) -> Shown:
    part = sample.part
    window = slice(sample.start, sample.start + part.tokens)
    tokens = ids[window].tolist()
    trained = (labels[window] != IGNORED).astype(bool)
    trained[0] = False
    head, tail = part.tokens, 0
    if part.tokens > HEAD_TOKENS + TAIL_TOKENS:
        head, tail = HEAD_TOKENS, TAIL_TOKENS
    mask: list[bool] = np.asarray(trained).tolist()
    drawn = pieces(tokens[:head], mask[:head], tokenizer)
    if tail:
        drawn.append(Piece(f" … {part.tokens - head - tail:,} tokens not shown … ", "gap"))
        drawn += pieces(tokens[-tail:], mask[-tail:], tokenizer)
    return Shown(part.id, part.source, part.tokens, part.trained_tokens, tuple(drawn))


def render_page(
    summary: Mapping[str, Any],
    groups: Sequence[tuple[str, str, Sequence[Shown]]],
    hits: Sequence[Hit],
    lineage: Sequence[tuple[str, str]],
    headline: str = "",
) -> str:
    """The page.

    Args:
        summary: see `data_facts.py`.
        groups: title, note and samples of each group.
        hits: what the leak guard found, with both texts.
        lineage: name and value of what the report was made from.
        headline: project, sources, model.
    """
    longest = summary["table"]["max_tokens"]
    largest = max((facts["tokens"] for facts in summary["sources"].values()), default=0)
    most = max((sum(step["reasons"].values()) for step in summary["steps"]), default=0)
    return render(
        TEMPLATE,
        _visible,
        summary=summary,
        source_bars={name: _source_bar(facts, largest) for name, facts in summary["sources"].items()},
        step_bars=[
            bar(
                [(reason, number, f"s{place % 4}") for place, (reason, number) in enumerate(step["reasons"].items())],
                most,
            )
            for step in summary["steps"]
        ],
        chunk_chart=histogram(summary["chunk_tokens"], longest, "Chunks by length"),
        row_chart=histogram({"rows": summary["row_tokens"]}, longest, "Rows by length"),
        groups=groups,
        hits=hits,
        lineage=lineage,
        headline=headline,
    )


def _visible(value: Any) -> Any:
    """What a template writes; text of sources without what a reader cannot see."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def render_markdown(summary: Mapping[str, Any]) -> str:
    """Headline, sources, accounting and leaks."""
    table, account = summary["table"], summary["accounting"]
    lines = [
        f"**{count(table['tokens'])} tokens in {count(table['rows'])} rows, {percent(table['fill'], 1)} full, "
        f"{count(table['trained_tokens'])} under the loss**",
        "",
        "| source | tokens | under the loss | documents | passes |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {count(facts['tokens'])} | {count(facts['trained_tokens'])} | {count(facts['documents'])} | "
        f"{passes(facts, summary['epochs']):g} |"
        for name, facts in summary["sources"].items()
    ]
    lines += ["", sentence(account)]
    if summary["leaks"]:
        lines.append(f"\nLeak guard: {leak_sentence(summary['leaks'])}")
    return "\n".join(lines) + "\n"


def sentence(account: Mapping[str, Any]) -> str:
    """The token accounting in words."""
    left_out = "".join(f" − {count(tokens)} {reason}" for reason, tokens in account["left_out"].items() if tokens)
    repeated = f" + {count(account['repeated'])} repeated" if account["repeated"] else ""
    verdict = "It adds up." if account["adds_up"] else "IT DOES NOT ADD UP."
    total = f"{count(account['tokens_in'])} tokens in{repeated}{left_out} = {count(account['tokens'])} trained on"
    return f"{total}. {verdict}"


def leak_sentence(leaks: Mapping[str, Any]) -> str:
    """What the guard found, in words."""
    asked = sum(facts["asked"] for facts in leaks["suites"].values())
    leaked = sum(facts["leaked"] for facts in leaks["suites"].values())
    others = sum(facts["not_asked"] for facts in leaks["suites"].values())
    more = f"; {count(others)} more are not asked" if others else ""
    return f"{count(leaked)} of {count(asked)} questions stood in the training table with their answers{more}."


def passes(facts: Mapping[str, Any], epochs: int | None) -> float:
    """How often training sees each token of a source."""
    return round(float(facts["passes"]) * (epochs or 1), 2)


def _source_bar(facts: Mapping[str, Any], largest: float) -> Markup:
    trained = facts["trained_tokens"]
    return bar([("under the loss", trained, "s0"), ("context only", facts["tokens"] - trained, "faded")], largest)
