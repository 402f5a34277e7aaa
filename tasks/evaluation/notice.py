"""The report in a few lines of Markdown for the Prefect UI, with what the run cost so far.

Seconds and dollars are in the run's ledger and never in an artifact of the store, so they stand here and not on the
page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.base.ledger import Ledger, read_entries
from tasks.evaluation.over_time import in_words
from tasks.evaluation.params import Suite
from tasks.figures.page import interval, percent, points, shown_markdown


def markdown(summary: Mapping[str, Any], costs: Mapping[str, float]) -> str:
    """Verdict, arms table and costs."""
    arms = list(summary["arms"])
    lines = [f"**{shown_markdown(summary['verdict'], 600)}**", ""]
    lines += ["| questions | " + " | ".join(arms) + " | tuned − base |", "|---" * (len(arms) + 2) + "|"]
    for suite in summary["suites"]:
        cells = [summary["arms"][arm].get(suite) for arm in arms]
        gain = summary["differences"].get(suite)
        row = [f"{percent(cell['estimate'])} {interval(cell)}" if cell else "–" for cell in cells]
        change = f"{points(gain['estimate'])} {interval(gain)}" if gain else "–"
        lines.append(f"| {shown_markdown(suite)} | {' | '.join(row)} | {change} |")
    lines.append("")
    if previous := summary.get("previous"):
        gain = previous["differences"].get(Suite.RECALL)
        change = f" Recall: {points(gain['estimate'])} {interval(gain)}." if gain else ""
        lines += [f"{shown_markdown(in_words(previous), 600)}{change}", ""]
    if costs.get("seconds"):
        lines.append(f"Training and answering took {costs['seconds']:,.0f} seconds of torch.")
    if costs.get("usd"):
        lines.append(f"Spent by this run: ${costs['usd']:,.2f}{_per_point(summary, costs['usd'])}.")
    return "\n".join(lines) + "\n"


def run_costs(book: Ledger) -> dict[str, float]:
    """`seconds` of training and answering and `usd` of everything, from the ledger of the run so far."""
    seconds = usd = 0.0
    for entry in read_entries(book.store, book.report.run):
        usd += entry.get("usd") or 0
        spent = entry.get("seconds") or 0
        seconds += sum(spent.values()) if isinstance(spent, dict) else spent
    return {"seconds": seconds, "usd": usd}


def _per_point(summary: Mapping[str, Any], usd: float) -> str:
    gain = summary["differences"].get(Suite.RECALL, {}).get("estimate") or 0
    return f", ${usd / (100 * gain):,.3f} per point of recall" if gain > 0 else ""
