"""The data report as a page (self-contained HTML, light and dark) and as a few lines of Markdown for the Prefect UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.base.errors import printable
from tasks.figures.page import count, percent, render
from tasks.mixture.leaks.passages import Hit
from tasks.mixture.report.charts import bar, histogram
from tasks.mixture.report.samples import Shown

TEMPLATE = Path(__file__).with_name("data_report.html.jinja")


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
