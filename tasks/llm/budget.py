"""A hard cap on dollars: the worst case of a call is reserved before it is sent and settled after it.

Every reservation is an object of its own in the store, written before the call and overwritten with what it cost. So a
killed run's calls in flight still count when it is resumed, on whatever machine that shares the store, no write can
damage another, and what was spent is known at any moment.
"""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal, InvalidOperation

from upath import UPath

from tasks.base.errors import BudgetError
from tasks.base.files import write_text


class Budget:
    """What may be spent under one step key. Used by the coroutines of one event loop.

    Args:
        folder: holds the reservations; read at start. An object's name states what was reserved, its content what it
            cost, and nothing until that is known.
        cap_usd: never exceeded by spent plus reserved, unless a server bills more than a call's worst case.
        section: of the parameters, for messages.
    """

    def __init__(self, folder: UPath, cap_usd: float, section: str = "synthesis") -> None:
        self.cap_usd = Decimal(str(cap_usd))
        self.section = section
        self.spent_usd = Decimal(0)
        """Settled costs, and of earlier runs the reservations that were never settled: they may have been billed."""
        self.reserved_usd = Decimal(0)
        self.folder = folder
        self._open: dict[str, Decimal] = {}
        self._lost: dict[str, Decimal] = {}
        self._settled = asyncio.Condition()
        for entry in sorted(folder.glob("*.txt")) if folder.exists() else ():
            self._read(entry)

    async def reserve(self, usd: Decimal) -> str:
        """Sets `usd` aside and returns the reservation's name. Waits while calls in flight may still turn out cheaper.

        Raises:
            BudgetError: it does not fit, however cheap the calls in flight turn out.
        """
        async with self._settled:
            while self._open and self.spent_usd + self.reserved_usd + usd > self.cap_usd:
                await self._settled.wait()
            name = self._set_aside(usd)
        await self._write(name, "")
        return name

    def try_reserve(self, usd: Decimal) -> str:
        """Like `reserve`, without waiting."""
        name = self._set_aside(usd)
        write_text(self.folder / f"{name}.txt", "")
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
            self._settled.notify_all()
        await self._write(name, str(usd))

    async def keep(self, name: str) -> None:
        """Settles at the reserved amount: nobody knows whether the call was billed."""
        await self.settle(name, self._open[name] if name in self._open else self._lost.get(name, Decimal(0)))

    def _set_aside(self, usd: Decimal) -> str:
        if self.spent_usd + self.reserved_usd + usd > self.cap_usd:
            raise BudgetError(
                f"{self.section}.budget_usd: {self.spent_usd:.4f} of {self.cap_usd:.4f} dollars are spent and the next "
                f"call may cost {usd:.4f}; all answers so far are kept, raise the cap and run again to go on"
            )
        name = f"{uuid.uuid4().hex[:12]}-{usd:f}"
        self._open[name] = usd
        self.reserved_usd += usd
        return name

    async def _write(self, name: str, text: str) -> None:
        path = self.folder / f"{name}.txt"
        if self.folder.protocol in ("", "file", "local"):
            write_text(path, text)
        else:  # a request to the object store, which must not hold up the others
            await asyncio.to_thread(write_text, path, text)

    def _read(self, entry: UPath) -> None:
        """Takes an earlier reservation over; content that is no amount counts as what was reserved."""
        name = entry.stem if entry.suffix == ".txt" else entry.name
        reserved = Decimal(name.partition("-")[2])
        try:
            spent = Decimal(entry.read_text("utf-8"))
            if not spent.is_finite() or spent < 0:
                raise InvalidOperation
        except (InvalidOperation, UnicodeDecodeError):
            self._lost[name] = spent = reserved
        self.spent_usd += spent
