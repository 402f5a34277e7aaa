"""Budget, throttle and waiting: what may be spent and when the next request may go."""

from __future__ import annotations

import asyncio
import email.utils
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from tasks.base.errors import BudgetError
from tasks.llm.budget import Budget
from tasks.llm.online import FIRST_LIMIT, Throttle
from tasks.llm.wire import MAX_PAUSE, retry_after


def journal(folder: Path, name: str = "key") -> UPath:
    return UPath(folder / name)


@settings(max_examples=40, deadline=None)
@given(
    cap=st.integers(1, 200),
    calls=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50), st.booleans()), max_size=40),
    at_once=st.integers(1, 8),
)
def test_spent_and_reserved_never_exceed_the_cap(
    tmp_path_factory: pytest.TempPathFactory, cap: int, calls: list[tuple[int, int, bool]], at_once: int
) -> None:
    async def run() -> Budget:
        budget = Budget(journal(tmp_path_factory.mktemp("budget")), cap / 100)
        places = asyncio.Semaphore(at_once)

        async def call(worst: int, real: int, known: bool) -> None:
            async with places:
                try:
                    name = await budget.reserve(Decimal(worst) / 100)
                except BudgetError:
                    return
                assert budget.spent_usd + budget.reserved_usd <= budget.cap_usd
                await asyncio.sleep(0)
                if known:
                    await budget.settle(name, Decimal(min(worst, real)) / 100)
                else:
                    await budget.keep(name)

        await asyncio.gather(*(call(*each) for each in calls))
        return budget

    budget = asyncio.run(run())
    assert budget.reserved_usd == 0
    assert budget.spent_usd <= budget.cap_usd


def test_killed_run_counts_its_calls_in_flight_when_it_is_resumed(tmp_path: Path) -> None:
    async def first() -> None:
        budget = Budget(journal(tmp_path), 1.0)
        await budget.settle(await budget.reserve(Decimal("0.30")), Decimal("0.10"))
        await budget.reserve(Decimal("0.50"))  # never settled: the process dies here

    async def second() -> None:
        (journal(tmp_path) / "0123456789ab-0.05.txt").write_text("0.0")
        (journal(tmp_path) / "ba9876543210-0.02.txt").write_bytes(b"\xff\x00")  # no amount: counts as reserved
        budget = Budget(journal(tmp_path), 1.0)
        assert budget.spent_usd == Decimal("0.62")
        with pytest.raises(BudgetError, match=r"0\.6200 of 1\.0000 dollars are spent"):
            await budget.reserve(Decimal("0.39"))
        await budget.settle(await budget.reserve(Decimal("0.38")), Decimal(0))

    asyncio.run(first())
    asyncio.run(second())


def test_reservation_waits_for_calls_in_flight_that_may_turn_out_cheaper(tmp_path: Path) -> None:
    async def run() -> list[str]:
        budget = Budget(journal(tmp_path), 1.0)
        order: list[str] = []
        held = await budget.reserve(Decimal("0.9"))

        async def late() -> None:
            name = await budget.reserve(Decimal("0.5"))
            order.append("late")
            await budget.settle(name, Decimal("0.5"))

        waiting = asyncio.create_task(late())
        await asyncio.sleep(0.01)
        order.append("settled")
        await budget.settle(held, Decimal("0.1"))
        await waiting
        return order

    assert asyncio.run(run()) == ["settled", "late"]


def test_throttle_doubles_at_first_then_creeps_and_halves_once_for_one_event() -> None:
    async def run() -> None:
        throttle = Throttle(20)
        assert throttle.limit == FIRST_LIMIT
        began = time.monotonic()
        for _ in range(30):
            throttle.succeeded()
        assert throttle.limit == 20
        throttle.complained(began)
        throttle.complained(began)  # began before the cut: the same event
        assert throttle.limit == 10
        for _ in range(10):
            throttle.succeeded()
        assert 10.5 < throttle.limit <= 11  # one more after a round
        throttle.complained(time.monotonic())
        assert throttle.limit < 5.6
        for _ in range(9):
            throttle.complained(time.monotonic())
        assert throttle.limit == 1

    asyncio.run(run())


def test_throttle_lets_nothing_in_before_the_pause_is_over() -> None:
    async def run() -> float:
        throttle = Throttle(8)
        began = time.monotonic()
        throttle.complained(began, pause=0.1)
        async with throttle.slot():
            return time.monotonic() - began

    assert asyncio.run(run()) >= 0.1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "99999"}, MAX_PAUSE),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_date_in_the_future_is_waited_for() -> None:
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 55 < (retry_after({"retry-after": date}) or 0) <= 60
