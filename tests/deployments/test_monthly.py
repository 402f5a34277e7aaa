"""The ledger by month, over run folders as runs, rented machines and killed runs leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deployments.cli.monthly import months, show_months
from tasks.base.ledger import Ledger
from tasks.base.store import Store


def leave_run(
    store: Store, run: str, scheduled: str | None, release: str | None, *spent: tuple[str, dict[str, Any]]
) -> None:
    book = Ledger(store, run)
    for topic, entry in spent:
        book.add(topic, entry)
    if scheduled:
        book.report.resolved["scheduled"] = scheduled
        book.report.release = release
        book.outcome("corpus/split", "Completed", 1.0)
        book.outcome("release/publish", "Cached", 1.0)
        book.close(1800)


def test_months_add_up_runs_and_do_not_count_training_on_a_rented_machine_twice(store: Store):
    api = [("spend", {"usd": 0.5}), ("spend", {"usd": None}), ("training", {"at": 1, "loss": 2.0, "usd": 1.0})]
    leave_run(store, "a", "2024-01-01T03:00:00Z", "/r/one", *api, ("training", {"usd": 2.0}))
    launched = "2024-01-01T03:11:00+00:00"
    rented = [("rental", {"usd": 1.5, "launched": launched}), ("rental", {"usd": 0.25, "launched": launched})]
    leave_run(store, "b", "2024-01-01T03:10:00Z", None, ("training", {"usd": 1.0}), *rented)
    leave_run(store, "c", "2024-02-01T03:00:00Z", "/r/one")
    january, february = months(store)
    assert (january.month, january.runs, january.releases, january.seconds) == ("2024-01", 2, 1, 3600)
    assert (january.api_usd, january.gpu_usd, january.usd) == (0.5, 3.75, 4.25)
    assert january.steps == {"Completed": 2, "Cached": 2}
    assert (february.month, february.runs, february.releases, february.usd) == ("2024-02", 1, 0, 0)


def test_month_of_a_crashed_rental_is_that_of_its_launch_and_of_a_killed_run_unknown(store: Store):
    leave_run(store, "lost", None, None, ("rental", {"usd": 0.1, "launched": "2024-03-01T03:20:00+00:00"}))
    leave_run(store, "killed", None, None, ("spend", {"usd": 0.2}))
    Path(store.local("ledger", "tensorboard", "lost"), "events").touch()
    assert [(month.month, month.gpu_usd, month.api_usd) for month in months(store)] == [
        ("2024-03", 0.1, 0),
        ("undated", 0, 0.2),
    ]


def test_ledger_is_shown_as_one_json_object(store: Store, capsys):
    show_months(store, True)
    assert json.loads(capsys.readouterr().out) == {"months": [], "usd": 0}
    leave_run(store, "a", "2024-01-01T03:00:00Z", "/r/one", ("spend", {"usd": 0.5}))
    show_months(store, True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["usd"], shown["months"][0]["month"], shown["months"][0]["steps"]["Cached"]) == (0.5, "2024-01", 1)
