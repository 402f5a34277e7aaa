"""A hard cap on dollars: the worst case of a call is reserved before it is sent and settled after it.

A journal in the store's cache keeps reservations and settlements, so that a killed run's calls in flight still count
when it is resumed.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from decimal import Decimal
from pathlib import Path

from tasks.base.errors import BudgetError


class Budget:
    """What may be spent under one step key. Used by the coroutines of one event loop.

    Args:
        journal: JSON lines, one for each reservation and each settlement; read back at start.
        cap_usd: never exceeded by spent plus reserved.
    """

    def __init__(self, journal: Path, cap_usd: float) -> None:
        self.cap_usd = Decimal(str(cap_usd))
        self.spent_usd = Decimal(0)
        """Settled costs, and of earlier runs the reservations that were never settled: they may have been billed."""
        self.reserved_usd = Decimal(0)
        self._open: dict[str, Decimal] = {}
        self._lost: dict[str, Decimal] = {}
        self._settled = asyncio.Condition()
        if journal.exists():
            self._read(journal)
        self.before_usd = self.spent_usd
        """What earlier runs under this key had spent."""
        self._writer = journal.open("a", encoding="utf-8")

    async def reserve(self, usd: Decimal) -> str:
        """Sets `usd` aside and returns the reservation's name. Waits while calls in flight may still turn out cheaper.

        Raises:
            BudgetError: it does not fit, however cheap the calls in flight turn out.
        """
        async with self._settled:
            while self._open and self.spent_usd + self.reserved_usd + usd > self.cap_usd:
                await self._settled.wait()
            return self.try_reserve(usd)

    def try_reserve(self, usd: Decimal) -> str:
        """Like `reserve`, without waiting."""
        if self.spent_usd + self.reserved_usd + usd > self.cap_usd:
            raise BudgetError(
                f"synthesis.budget_usd: {self.spent_usd:.4f} of {self.cap_usd:.4f} dollars are spent and the next call "
                f"may cost {usd:.4f}; all answers so far are kept, raise the cap and run again to go on"
            )
        name = uuid.uuid4().hex[:12]
        self._open[name] = usd
        self.reserved_usd += usd
        self._write(reserve=name, usd=usd)
        return name

    async def settle(self, name: str, usd: Decimal) -> None:
        """Replaces a reservation by what the call really cost, 0 for a call that was not billed.

        A reservation of an earlier run can be settled too; one that was settled already is left alone.
        """
        async with self._settled:
            if name in self._open:
                self.reserved_usd -= self._open.pop(name)
            elif name in self._lost:
                self.spent_usd -= self._lost.pop(name)
            else:
                return
            self.spent_usd += usd
            self._write(settle=name, usd=usd)
            self._settled.notify_all()

    async def keep(self, name: str) -> None:
        """Settles at the reserved amount: nobody knows whether the call was billed."""
        await self.settle(name, self._open[name])

    def close(self) -> None:
        """Closes the journal; open reservations stay in it and count as spent next time."""
        self._writer.close()

    def _write(self, usd: Decimal, **entry: str) -> None:
        # Flushed to the kernel, which survives kill -9; a lost machine loses its in-flight reservations with the
        # answers.
        self._writer.write(json.dumps({**entry, "usd": str(usd)}) + "\n")
        self._writer.flush()

    def _read(self, journal: Path) -> None:
        for line in journal.read_text("utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # the line that was being written when the process died
                continue
            if "reserve" in entry:
                self._lost[entry["reserve"]] = Decimal(entry["usd"])
            elif self._lost.pop(entry["settle"], None) is not None:
                self.spent_usd += Decimal(entry["usd"])
        self.spent_usd += sum(self._lost.values(), Decimal(0))
