"""The history page over reports and ledgers as runs leave them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from deployments.cli.history import page, show_history, snapshots
from tasks.base.ledger import Ledger
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.figures.charts import lines


@step("evaluation/report", "1")
def report(run: StepRun, summary: dict[str, Any]) -> None:
    run.path("summary.json").write_text(json.dumps(summary))


def leave_run(store: Store, run: str, date: str, recall: float, general: float | None, usd: float) -> None:
    def of(estimate: float) -> dict[str, Any]:
        return {"estimate": estimate}

    losses = (
        {}
        if general is None
        else {arm: {"general_loss": {"loss": 2 + more}} for arm, more in (("base", 0), ("tuned", general))}
    )
    summary = {
        "arms": {"base": {"recall": of(0.1)}, "tuned": {"recall": of(recall)}},
        "kinds": {"value": {"tuned": of(recall)}, "a<b>": {"base": of(0.0)}},
        "losses": losses,
    }
    book = Ledger(store, run)
    book.add("spend", {"usd": usd})
    book.report.resolved = {
        "project": "post",
        "sources": [{"snapshot": {"repo": "acme/post", "committed_at": f"{date}T12:00:00Z", "revision": "0123456789"}}],
    }
    book.outcome("evaluation/report", "Completed", 1.0, report.direct(store, summary=summary))
    book.close(60)


def test_snapshots_are_in_order_of_date_and_runs_with_one_report_count_once(store: Store):
    leave_run(store, "a", "2024-02-29", 0.6, 0.02, 1.0)
    leave_run(store, "b", "2024-01-31", 0.5, None, 2.0)
    leave_run(store, "c", "2024-02-29", 0.6, 0.02, 0.5)
    first, second = snapshots(store)
    assert (first.date, first.commit, first.recall, first.general, first.usd) == (
        "2024-01-31", "0123456", {"base": 0.1, "tuned": 0.5}, None, 2.0,
    )  # fmt: skip
    assert (second.project, second.kinds, second.usd) == ("post", {"value": 0.6}, 1.5)
    assert second.general == pytest.approx(0.02)


def test_history_is_a_page_of_its_own_or_one_json_object(store: Store, capsys: pytest.CaptureFixture[str]):
    show_history(store, False)
    assert "no evaluated run" in capsys.readouterr().out
    leave_run(store, "a", "2024-02-29", 0.6, 0.02, 1.0)
    show_history(store, True)
    assert json.loads(capsys.readouterr().out)["snapshots"][0]["recall"]["tuned"] == 0.6
    show_history(store, False)
    told = capsys.readouterr().out
    assert "recall 60% (base 10%)" in told
    made = store.local("history") / "history.html"
    assert made.read_text("utf-8") == page(snapshots(store))
    assert made.read_text("utf-8").count("<svg") == 4
    assert "<script" not in made.read_text("utf-8")


def test_lines_break_at_gaps_and_names_are_text():
    drawn = ET.fromstring(lines({"a<b": [1.0, None, 3.0, 4.0], "c": [2.0, 2.0, 2.0, 2.0]}, ["1", "2", "3", "4"], "x"))
    paths = [path.get("points", "").split() for path in drawn.iter("polyline")]
    assert [len(path) for path in paths] == [1, 2, 4]
    assert [text.text for text in drawn.iter("text") if (text.get("class") or "").startswith("name")] == [
        "a<b",
        "c",
    ]
