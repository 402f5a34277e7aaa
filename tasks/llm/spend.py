"""Tells the run's ledger what was spent while it is being spent, so that a killed run's dollars are in it too."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Final

from tasks.base.files import write_text
from tasks.base.ledger import current_ledger
from tasks.base.runs import StepRun
from tasks.llm.budget import Budget
from tasks.llm.client import Client

LEDGER_SECONDS: Final = 1.0
"""Least seconds between two entries of one step."""


class Told:
    """What the ledgers of all runs under a step key know of its budget.

    The amount that was told lies beside the budget's reservations. So a resumed run also tells what the run before it
    had spent, or might have spent, when it was killed.
    """

    def __init__(self, run: StepRun, model: str, client: Client, budget: Budget) -> None:
        self.run = run
        self.model = model
        self.client = client
        self.budget = budget
        self._file = budget.folder / "told"
        self._usd = Decimal(self._file.read_text("utf-8")) if self._file.exists() else Decimal(0)
        self._counts = {"calls": 0, "cached": 0, "requests": 0}
        self._last = float("-inf")

    def tell(self, seconds: float = 0.0) -> None:
        """Adds an entry with what came since the last one, unless that was less than `seconds` ago."""
        now = time.monotonic()
        if now - self._last < seconds or current_ledger() is None:
            return
        self._last = now
        counts = {
            "calls": self.client.asked,
            "cached": self.client.cached,
            "requests": self.client.transport.requests,
        }
        spent = self.budget.spent_usd
        self.run.ledger(
            "spend",
            usd=float(spent - self._usd),
            usd_under_this_key=float(spent),
            budget_usd=float(self.budget.cap_usd),
            model=self.model,
            **{name: number - self._counts[name] for name, number in counts.items()},
        )
        self._counts, self._usd = counts, spent
        write_text(self._file, str(spent))
